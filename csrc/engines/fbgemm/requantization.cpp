#include "engines/fbgemm/requantization.h"

#include <algorithm>
#include <cmath>

#include "engines/scale_check.h"

namespace qconv {
namespace {

int64_t entries(const ConvDescription& conv) {
  return conv.weight.per_channel ? conv.geometry.out_channels : 1;
}

// The largest |bias / input_times_weight| where one entry serves every channel, or channel's own.
double largest_bias_in_sums(const ConvDescription& conv, const std::vector<float>& scales) {
  double largest = 0;
  if (conv.bias) {
    for (size_t channel = 0; channel < conv.bias->size(); ++channel) {
      const double scale = scales[scales.size() == 1 ? 0 : channel];
      largest = std::max(largest, std::abs((*conv.bias)[channel] / scale));
    }
  }
  return largest;
}

}  // namespace

bool products_are_normal(const ConvDescription& conv, double input_scale) {
  const auto input = static_cast<float>(input_scale);
  return std::all_of(conv.weight.scales.begin(), conv.weight.scales.end(), [&](double scale) {
    return is_normal_float32(input * static_cast<float>(scale));
  });
}

RequantizationScales requantization_scales(
    std::string_view op, const ConvDescription& conv, double input_scale, double output_scale,
    int64_t largest_absolute_sum) {
  RequantizationScales result;
  const auto input = static_cast<float>(input_scale);
  const auto output = static_cast<float>(output_scale);
  for (int64_t channel = 0; channel < entries(conv); ++channel) {
    const auto weight = static_cast<float>(conv.weight.scales[conv.channel_index(channel)]);
    const float product = input * weight;
    check_float32_scales(op, product, product / output, input_scale, weight, output_scale, channel);
    result.input_times_weight.push_back(product);
    result.multiplier.push_back(product / output);
  }
  const double largest_multiplier =
      *std::max_element(result.multiplier.begin(), result.multiplier.end());
  const double largest_sum = 255.0 * static_cast<double>(largest_absolute_sum) +
      largest_bias_in_sums(conv, result.input_times_weight);
  result.fits_int32 = largest_sum * largest_multiplier < 2147483000.0;
  return result;
}

std::vector<int32_t> weight_zero_points(const ConvDescription& conv) {
  std::vector<int32_t> result;
  for (int64_t channel = 0; channel < entries(conv); ++channel) {
    result.push_back(conv.weight.zero_points[conv.channel_index(channel)]);
  }
  return result;
}

}  // namespace qconv
