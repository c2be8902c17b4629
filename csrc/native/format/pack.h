#pragma once

#include <cstddef>
#include <cstdint>

#include "native/convolution.h"
#include "native/cpu/instruction_set.h"
#include "native/format/weight_strides.h"

namespace qconv::native {

// 255 times this fits int32: where the sum of |weight - zero point| of every output channel, in
// every phase, is at most this, no sum over uint8 activations can overflow.
constexpr int64_t kMaxWeightMagnitude = ((int64_t{1} << 31) - 1) / 255;

// What is packed, in the caller's memory.
struct PackSource {
  Convolution conv;
  const int8_t* weight = nullptr;
  WeightStrides strides;  // OIHW and channels-last order are fast, all others right

  // real = (integer - zero_point) * scale. One entry, or one per output channel.
  const double* scales = nullptr;  // positive, finite, normal
  bool scales_per_channel = false;
  const int32_t* zero_points = nullptr;  // in int8; null: all are 0
  bool zero_points_per_channel = false;
  const float* bias = nullptr;  // real numbers, finite, one per output channel; or null
};

struct PackResult {
  // The largest sum of |weight - zero point| over an output channel of a phase.
  int64_t largest_magnitude = 0;
};

// Bytes of the packed buffer. Looks at everything but the weights. Raises std::invalid_argument,
// naming what is wrong with the convolution, its scales, zero points or bias.
size_t packed_size(const PackSource& source);

// Writes the packed buffer: `size` == packed_size(source) bytes at `out`, which is aligned to 64.
// The bytes depend on the source alone, not on the instruction set or on what was in `out`. Raises
// std::invalid_argument as packed_size does, and where the largest magnitude exceeds
// kMaxWeightMagnitude.
PackResult pack(const PackSource& source, void* out, size_t size);
PackResult pack(const PackSource& source, void* out, size_t size, InstructionSet set);

}  // namespace qconv::native
