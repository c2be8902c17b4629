#include "conv/check_weight.h"

#include <ATen/ops/q_per_channel_scales.h>
#include <ATen/ops/q_per_channel_zero_points.h>

#include <cmath>
#include <limits>

#include "conv/check.h"
#include "conv/check_tensor.h"

namespace qconv {
namespace {

bool is_weight_zero_point(int64_t value) {
  return value >= std::numeric_limits<int8_t>::min() && value <= std::numeric_limits<int8_t>::max();
}

// Without a branch per value: weights have thousands of channels, and nearly all are right.
template <typename Value, typename IsRight>
bool all_of_values(const Value* values, int64_t count, const IsRight& is_right) {
  bool result = true;
  for (int64_t i = 0; i < count; ++i) {
    result &= is_right(values[i]);
  }
  return result;
}

// channel: -1 where one zero point serves all.
int32_t checked_zero_point(std::string_view op, int64_t zero_point, int64_t channel) {
  QCONV_CHECK_VALUE(
      is_weight_zero_point(zero_point), op, ArgumentName("weight zero point", "", channel),
      " must be in [-128, 127], got ", zero_point);
  return static_cast<int32_t>(zero_point);
}

}  // namespace

void check_quantized_weight(std::string_view op, const at::Tensor& weight) {
  check_readable(op, "weight", weight);
  QCONV_CHECK_TYPE(
      weight.scalar_type() == at::kQInt8, op, "weight must have dtype torch.qint8, got ",
      dtype_name(weight),
      "; quantize a float weight with torch.quantize_per_channel or torch.quantize_per_tensor");
  check_quantized(op, "weight", weight);
  const at::QScheme scheme = weight.qscheme();
  QCONV_CHECK_VALUE(
      scheme == at::kPerTensorAffine || scheme == at::kPerChannelAffine, op,
      "weight must be quantized per_tensor_affine or per_channel_affine, got ", toString(scheme));
}

WeightQuantization quantization_of(std::string_view op, const at::Tensor& weight, bool transposed) {
  WeightQuantization result;
  result.per_channel = weight.qscheme() == at::kPerChannelAffine;
  if (!result.per_channel) {
    result.scales = {weight.q_scale()};
    result.zero_points = {checked_zero_point(op, weight.q_zero_point(), -1)};
  } else {
    const int64_t axis = result.channel_axis(transposed);
    QCONV_CHECK_VALUE(
        weight.q_per_channel_axis() == axis, op, "weight must be quantized along axis ", axis,
        transposed ? " (out_channels of a transposed convolution)" : " (out_channels)",
        ", got axis ", weight.q_per_channel_axis());
    const at::Tensor scales = at::q_per_channel_scales(weight);
    const at::Tensor zero_points = at::q_per_channel_zero_points(weight);
    check_readable(op, "weight's scales", scales);
    check_readable(op, "weight's zero points", zero_points);
    const int64_t channels = weight.size(axis);
    QCONV_CHECK_VALUE(
        scales.numel() == channels && zero_points.numel() == channels, op,
        "weight must have one scale and zero point for each of its ", channels, " channels, got ",
        scales.numel(), " and ", zero_points.numel());
    const at::Tensor scales_double = scales.to(at::kDouble).resolve_neg().contiguous();
    const at::Tensor zero_points_long = zero_points.to(at::kLong).resolve_neg().contiguous();
    const double* scale = scales_double.const_data_ptr<double>();
    const int64_t* zero_point = zero_points_long.const_data_ptr<int64_t>();
    result.scales.assign(scale, scale + channels);
    result.zero_points.assign(zero_point, zero_point + channels);
    if (!all_of_values(zero_point, channels, is_weight_zero_point)) {
      for (int64_t i = 0; i < channels; ++i) {
        checked_zero_point(op, zero_point[i], i);
      }
    }
  }
  return result;
}

void check_weight_quantization(std::string_view op, const WeightQuantization& quantization) {
  const auto entries = static_cast<int64_t>(quantization.scales.size());
  if (all_of_values(quantization.scales.data(), entries, is_normal_scale)) {
    return;
  }
  for (int64_t i = 0; i < entries; ++i) {
    const int64_t channel = quantization.per_channel ? i : -1;
    check_scale(op, {"weight scale", "", channel}, quantization.scales[i]);
  }
}

std::vector<float> check_bias(std::string_view op, const at::Tensor& bias, int64_t out_channels) {
  check_readable(op, "bias", bias);
  QCONV_CHECK_TYPE(
      bias.scalar_type() == at::kFloat, op, "bias must have dtype torch.float32, got ",
      dtype_name(bias),
      bias.is_quantized() ? "; convert it with .dequantize()" : "; convert it with .float()");
  QCONV_CHECK_VALUE(
      bias.dim() == 1 && bias.size(0) == out_channels, op,
      "bias must have one dimension with out_channels = ", out_channels, " elements, got size ",
      bias.sizes());
  const at::Tensor contiguous = bias.resolve_neg().contiguous();
  const float* data = contiguous.const_data_ptr<float>();
  for (int64_t i = 0; i < out_channels; ++i) {
    QCONV_CHECK_VALUE(
        std::isfinite(data[i]), op, "bias must be finite, got ", data[i], " for channel ", i);
  }
  return {data, data + out_channels};
}

}  // namespace qconv
