#include "engines/qnnpack/requantization.h"

#include <ATen/ops/quantize_per_channel.h>
#include <ATen/ops/quantize_per_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "conv/quantized_weight.h"
#include "engines/qnnpack/qnnpack_api.h"
#include "engines/scale_check.h"

namespace qconv {
namespace {

// Beyond this a bias in units of the sums, added to the largest sum, or the product with the
// multiplier might not fit int32 after rounding.
constexpr double kLargestInt32 = 2147483000.0;

}  // namespace

QnnpackRequantization qnnpack_requantization(
    std::string_view op, const ConvDescription& conv, double input_scale, double output_scale,
    int64_t largest_absolute_sum) {
  QnnpackRequantization result;
  result.multipliers.assign(conv.geometry.out_channels + kQnnpackReach, 1.0F);
  const auto input = static_cast<float>(input_scale);
  const float inverse_output = 1.0F / static_cast<float>(output_scale);
  for (int64_t channel = 0; channel < conv.geometry.out_channels; ++channel) {
    const double weight_scale = conv.weight.scales[conv.channel_index(channel)];
    const auto weight = static_cast<float>(weight_scale);
    const float product = weight * input;
    const float multiplier = product * inverse_output;
    check_float32_scales(op, product, multiplier, input_scale, weight, output_scale, channel);
    result.multipliers[channel] = multiplier;
    const double bias = conv.bias ? std::abs((*conv.bias)[channel]) : 0.0;
    const double largest =
        255.0 * static_cast<double>(largest_absolute_sum) + bias / (weight_scale * input_scale);
    const bool rounding_is_small = !conv.bias || multiplier <= 1;
    result.is_right = result.is_right && rounding_is_small &&
        std::max(largest, largest * multiplier) < kLargestInt32;
  }
  return result;
}

std::vector<int32_t> bias_in_sums(const ConvDescription& conv, double input_scale) {
  const at::Tensor bias = to_tensor(*conv.bias);
  at::Tensor rounded;
  if (conv.weight.per_channel) {
    // A transposed weight's groups share its scales.
    const int64_t repeats = conv.geometry.transposed ? conv.geometry.groups : 1;
    const at::Tensor scales = scales_tensor(conv.weight).repeat({repeats}).mul(input_scale);
    const at::Tensor zero_points = at::zeros(scales.sizes(), at::TensorOptions().dtype(at::kInt));
    rounded = at::quantize_per_channel(bias, scales, zero_points, 0, at::kQInt32);
  } else {
    rounded = at::quantize_per_tensor(bias, conv.weight.scales[0] * input_scale, 0, at::kQInt32);
  }
  const auto* data = static_cast<const int32_t*>(rounded.const_data_ptr());
  return {data, data + rounded.numel()};
}

std::vector<uint8_t> unsigned_zero_points(const ConvDescription& conv) {
  std::vector<uint8_t> result(conv.geometry.out_channels + kQnnpackReach, 0);
  for (int64_t channel = 0; channel < conv.geometry.out_channels; ++channel) {
    result[channel] =
        static_cast<uint8_t>(conv.weight.zero_points[conv.channel_index(channel)] + 128);
  }
  return result;
}

}  // namespace qconv
