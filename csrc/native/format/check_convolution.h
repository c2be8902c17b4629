#pragma once

#include "native/convolution.h"

namespace qconv::native {

// Bounds of what can be packed. Every size fits int32, so that the header holds it in 4 bytes and
// products of two of them fit int64; a kernel reaches no farther than that either.
constexpr int64_t kMaxExtent = (int64_t{1} << 31) - 1;
// Weights of one output channel: 128 times this, the largest sum of int8 weights, fits int32.
constexpr int64_t kMaxWeightsPerChannel = int64_t{1} << 24;
// Padding makes a packed weight at most 128 times as large as the original (see layout_of), so that
// sizes computed from these bounds stay far below 2^63.
constexpr int64_t kMaxWeights = int64_t{1} << 40;
constexpr int64_t kMaxPackedBytes = int64_t{1} << 40;

// Raises std::invalid_argument, naming the field, unless the convolution makes sense and keeps to
// the bounds above (kMaxPackedBytes is left to packed_size).
void check_convolution(const Convolution& conv);

}  // namespace qconv::native
