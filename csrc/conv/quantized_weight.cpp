#include "conv/quantized_weight.h"

#include <ATen/ops/_make_per_channel_quantized_tensor.h>
#include <ATen/ops/_make_per_tensor_quantized_tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace qconv {
namespace {

template <typename Element, typename Values>
at::Tensor to_tensor(const Values& values, at::ScalarType dtype) {
  at::Tensor result =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(dtype));
  std::copy(values.begin(), values.end(), result.mutable_data_ptr<Element>());
  return result;
}

}  // namespace

at::Tensor make_quantized_weight(
    const at::Tensor& integers, const WeightQuantization& quantization, bool transposed) {
  if (quantization.per_channel) {
    return at::_make_per_channel_quantized_tensor(
        integers, scales_tensor(quantization), zero_points_tensor(quantization),
        quantization.channel_axis(transposed));
  }
  return at::_make_per_tensor_quantized_tensor(
      integers, quantization.scales[0], quantization.zero_points[0]);
}

at::Tensor scales_tensor(const WeightQuantization& quantization) {
  return to_tensor<double>(quantization.scales, at::kDouble);
}

at::Tensor zero_points_tensor(const WeightQuantization& quantization) {
  return to_tensor<int64_t>(quantization.zero_points, at::kLong);
}

at::Tensor to_tensor(const std::vector<float>& values) {
  return to_tensor<float>(values, at::kFloat);
}

std::optional<at::Tensor> bias_tensor(const ConvDescription& conv) {
  if (!conv.bias) {
    return std::nullopt;
  }
  return to_tensor(*conv.bias);
}

}  // namespace qconv
