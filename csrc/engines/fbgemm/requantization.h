#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engines/engine.h"

namespace qconv {

// The factors of FBGEMM's requantization, computed in the float32 steps that PyTorch's fbgemm
// engine takes, so that results are equal bit for bit:
//   q = clamp(round((sum + bias / input_times_weight) * multiplier) + zero_point)
// One entry, or one per output channel.
struct RequantizationScales {
  std::vector<float> input_times_weight;
  std::vector<float> multiplier;
  // FBGEMM converts to int32 before it clamps: a value out of int32 becomes -2^31 and clamps to
  // the wrong end. False where this convolution's values could be.
  bool fits_int32 = true;
};

// largest_absolute_sum: WeightFacts::largest_absolute_sum.
// Raises ValueError where the product of the scales leaves float32's normal numbers.
RequantizationScales requantization_scales(
    std::string_view op, const ConvDescription& conv, double input_scale, double output_scale,
    int64_t largest_absolute_sum);

// Whether input scale * weight scale is a normal float32 number for every channel.
bool products_are_normal(const ConvDescription& conv, double input_scale);

// weight.zero_points: one entry, or one per output channel.
std::vector<int32_t> weight_zero_points(const ConvDescription& conv);

}  // namespace qconv
