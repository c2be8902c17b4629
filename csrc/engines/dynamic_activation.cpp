#include "engines/dynamic_activation.h"

#include <ATen/EmptyTensor.h>
#include <ATen/native/quantized/cpu/QuantUtils.h>

#include <cmath>

#include "conv/check.h"
#include "engines/native/native_arguments.h"
#include "native/run/quantize.h"

namespace qconv {
namespace {

// Of the tensor's memory, or of a copy's in channels-last order.
native::FloatActivation dense_activation(const at::Tensor& input, ChannelsLast& memory) {
  native::FloatActivation activation;
  activation.batch = input.size(0);
  activation.channels = input.size(1);
  activation.pixels = input.numel() / (activation.batch * activation.channels);
  activation.channels_last = input.is_neg() || !input.is_contiguous();
  if (activation.channels_last) {
    memory = to_channels_last(input);
    activation.data = static_cast<const float*>(memory.data);
  } else {
    activation.data = input.const_data_ptr<float>();
  }
  return activation;
}

}  // namespace

PreparedActivation quantize_dynamically(
    std::string_view op, const at::Tensor& input, bool reduce_range) {
  const native::ParallelFor threads = torch_parallel_for();
  ChannelsLast memory;
  native::FloatActivation activation;
  if (input.numel() > 0) {
    activation = dense_activation(input, memory);
  }
  const native::Range range = native::find_range(activation.data, input.numel(), threads);
  QCONV_CHECK_VALUE(!range.has_nan, op, "input must be finite, got NaN");
  QCONV_CHECK_VALUE(
      std::isfinite(range.smallest) && std::isfinite(range.largest), op,
      "input must be finite, got values from ", range.smallest, " to ", range.largest);
  const quant_utils::TensorQuantizationParams parameters = quant_utils::ChooseQuantizationParams(
      range.smallest, range.largest, /*qmin=*/0, /*qmax=*/255, /*preserve_sparsity=*/false,
      /*force_scale_power_of_two=*/false, reduce_range);
  PreparedActivation result;
  result.copy = at::detail::empty_cpu({input.numel()}, at::kByte);
  native::quantize(
      activation, parameters.scale, parameters.zero_point, result.copy.mutable_data_ptr<uint8_t>(),
      threads);
  result.view.data = result.copy.const_data_ptr<uint8_t>();
  result.view.scale = parameters.scale;
  result.view.zero_point = parameters.zero_point;
  return result;
}

}  // namespace qconv
