#pragma once

#include <cstdint>
#include <vector>

#include "conv/description.h"

namespace qconv {

// 255 times this fits int32, so no sum over activations can overflow.
constexpr int64_t kLargestExactAbsoluteSum = (int64_t{1} << 31) / 255 - 1;

// What the values of a weight decide about how it may be run.
struct WeightFacts {
  // Per output channel: sum of (weight - zero_point). FBGEMM's "column offsets".
  std::vector<int32_t> column_sums;
  // Largest sum of |weight - zero_point| over the output channels.
  int64_t largest_absolute_sum = 0;
  // All weights are so small that no two of them can drive vpmaddubsw, which adds two products of a
  // uint8 and an int8 into int16 with saturation, out of range, whatever the activations.
  bool no_pair_saturates = true;
};

// grouped_weight: [groups, out/groups, kernel..., in/groups], see weight_layout.h.
WeightFacts inspect_weight(const ConvDescription& conv, const int8_t* grouped_weight);

}  // namespace qconv
