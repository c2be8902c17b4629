#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engines/engine.h"

namespace qconv {

// The numbers of QNNPACK's requantization, computed in the steps that PyTorch's qnnpack engine
// takes, so that results are equal bit for bit:
//   q = clamp(round(float(sum + bias_in_sums) * multiplier) + zero_point)
struct QnnpackRequantization {
  // One entry per output channel, padded for what kernels read behind.
  std::vector<float> multipliers;
  // False where QNNPACK would be wrong: the bias, a sum or a value leaves int32, or the rounding of
  // the bias moves results by more than half a quantum.
  bool is_right = true;
};

// Raises ValueError where the product of the scales leaves float32's normal numbers.
// largest_absolute_sum: WeightFacts::largest_absolute_sum.
QnnpackRequantization qnnpack_requantization(
    std::string_view op, const ConvDescription& conv, double input_scale, double output_scale,
    int64_t largest_absolute_sum);

// The bias rounded to multiples of input scale * weight scale, one entry per output channel.
// Only for scales of which QnnpackRequantization::is_right.
std::vector<int32_t> bias_in_sums(const ConvDescription& conv, double input_scale);

// Zero points of the weight as uint8, padded as the multipliers are.
std::vector<uint8_t> unsigned_zero_points(const ConvDescription& conv);

}  // namespace qconv
