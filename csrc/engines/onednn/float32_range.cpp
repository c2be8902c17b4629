#include "engines/onednn/float32_range.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engines/scale_check.h"

namespace qconv::onednn {

Float32Range::Float32Range(const ConvDescription& conv, const WeightFacts& facts)
    : largest_sum_(255.0 * static_cast<double>(facts.largest_absolute_sum)) {
  const auto [smallest, largest] =
      std::minmax_element(conv.weight.scales.begin(), conv.weight.scales.end());
  smallest_ = {static_cast<float>(*smallest), smallest - conv.weight.scales.begin()};
  largest_ = {static_cast<float>(*largest), largest - conv.weight.scales.begin()};
  if (conv.bias) {
    for (float bias : *conv.bias) {
      largest_bias_ = std::max(largest_bias_, std::abs(static_cast<double>(bias)));
    }
  }
}

void Float32Range::check_scales(
    std::string_view op, double input_scale, double output_scale) const {
  for (const Extreme& extreme : {smallest_, largest_}) {
    const float product = static_cast<float>(input_scale) * extreme.scale;
    check_float32_scales(
        op, product, product / static_cast<float>(output_scale), input_scale, extreme.scale,
        output_scale, extreme.channel);
  }
}

bool Float32Range::holds(double input_scale) const {
  const auto input = static_cast<float>(input_scale);
  return is_normal_float32(input) && is_normal_float32(smallest_.scale) &&
      is_normal_float32(input * smallest_.scale) && is_normal_float32(input * largest_.scale) &&
      largest_sum_ * input * largest_.scale + largest_bias_ < std::numeric_limits<float>::max();
}

bool Float32Range::holds(double input_scale, double output_scale) const {
  const auto output = static_cast<float>(output_scale);
  return holds(input_scale) && is_normal_float32(output) && is_normal_float32(1 / output);
}

}  // namespace qconv::onednn
