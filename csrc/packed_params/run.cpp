#include "packed_params/run.h"

#include <ATen/native/quantized/cpu/QuantUtils.h>
#include <ATen/ops/_empty_affine_quantized.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/quantize_per_tensor.h>

#include <cmath>

#include "conv/check.h"
#include "conv/check_input.h"

namespace qconv {
namespace {

// The integers of a quint8 tensor [batch, channels, spatial...] in memory order [batch, spatial...,
// channels]; without a copy where they lie so.
at::Tensor channels_last_integers(const at::Tensor& quantized) {
  const at::Tensor integers = at::from_blob(
      quantized.data_ptr(), quantized.sizes(), quantized.strides(),
      at::TensorOptions().dtype(at::kByte));
  return integers.movedim(1, -1).contiguous();
}

// Sizes of the output in memory order; 1-D ops don't show the height that shapes have.
Dims channels_last_sizes(const RunShape& shape, int64_t channels, int op_dims) {
  Dims sizes{shape.batch};
  sizes.append(shape.output_size.end() - op_dims, shape.output_size.end());
  sizes.push_back(channels);
  return sizes;
}

Activation activation(const at::Tensor& integers, const at::Tensor& quantized) {
  return {
      integers.const_data_ptr<uint8_t>(), quantized.q_scale(),
      static_cast<int32_t>(quantized.q_zero_point())};
}

at::Tensor quantize_dynamically(const std::string& op, const at::Tensor& input, bool reduce_range) {
  float smallest = 0;
  float largest = 0;
  if (input.numel() > 0) {
    const auto [min, max] = at::aminmax(input);
    smallest = min.item<float>();
    largest = max.item<float>();
  }
  QCONV_CHECK_VALUE(
      !std::isnan(smallest) && !std::isnan(largest), op, "input must be finite, got NaN");
  QCONV_CHECK_VALUE(
      std::isfinite(smallest) && std::isfinite(largest), op,
      "input must be finite, got values from ", smallest, " to ", largest);
  const quant_utils::TensorQuantizationParams parameters = quant_utils::ChooseQuantizationParams(
      smallest, largest, /*qmin=*/0, /*qmax=*/255, /*preserve_sparsity=*/false,
      /*force_scale_power_of_two=*/false, reduce_range);
  return at::quantize_per_tensor(input, parameters.scale, parameters.zero_point, at::kQUInt8);
}

}  // namespace

at::Tensor run_conv(
    const std::string& op, int op_dims, const ConvDescription& conv, const PackedConv& packed,
    const at::Tensor& input, double output_scale, int64_t output_zero_point, PostOp post_op) {
  const RunShape shape = check_quantized_input(op, op_dims, conv.geometry, input);
  check_output_quantization(op, output_scale, output_zero_point);
  const at::Tensor output = at::_empty_affine_quantized(
      channels_last_sizes(shape, conv.geometry.out_channels, op_dims),
      at::TensorOptions().dtype(at::kQUInt8), output_scale, output_zero_point);
  if (shape.batch > 0) {
    const at::Tensor integers = channels_last_integers(input);
    packed.run(
        op, shape, activation(integers, input),
        {output_scale, static_cast<int32_t>(output_zero_point)}, post_op,
        static_cast<uint8_t*>(output.data_ptr()));
  }
  return output.movedim(-1, 1);
}

at::Tensor run_conv_dynamic(
    const std::string& op, int op_dims, const ConvDescription& conv, const PackedConv& packed,
    const at::Tensor& input, bool reduce_range) {
  const RunShape shape = check_float_input(op, op_dims, conv.geometry, input);
  const at::Tensor output = at::empty(
      channels_last_sizes(shape, conv.geometry.out_channels, op_dims),
      at::TensorOptions().dtype(at::kFloat));
  if (shape.batch > 0) {
    const at::Tensor quantized = quantize_dynamically(op, input.detach(), reduce_range);
    const at::Tensor integers = channels_last_integers(quantized);
    packed.run_to_float(shape, activation(integers, quantized), output.mutable_data_ptr<float>());
  }
  return output.movedim(-1, 1);
}

}  // namespace qconv
