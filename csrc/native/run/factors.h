#pragma once

#include <cstdint>

#include "native/format/packed_view.h"
#include "native/run/run.h"
#include "native/run/run_phases.h"

namespace qconv::native {

// Per phase and output channel, what turns a kernel's sums over (activation, weight - zero point)
// into numbers. Each phase's tables are readable as far as kernels want it (see store.h), with
// zeros beyond the channels; they are `phase_stride` numbers from those of the phase before. After
// the last phase follow those of outputs that are in none of a transposed convolution. All lie in
// memory of the calling thread until its next call.

// number = sum * multiplier + offset, in float32.
struct FloatFactors {
  const float* multiplier = nullptr;
  const float* offset = nullptr;
  int64_t phase_stride = 0;
  bool within_bounds = false;
};

// What FloatFactors are counted in, and up to where float32 is exact enough.
struct FloatBounds {
  double unit = 1;            // real number
  double shift = 0;           // added to all offsets, in units
  float most_multiplier = 0;  // units
  float most_offset = 0;      // units, of either sign
};

FloatFactors float_factors(
    const PackedView& packed, const RunPhases& phases, const RunInput& input,
    const FloatBounds& bounds);

// real = (sum + zero_point_sum) * scale + bias, in float64.
struct DoubleFactors {
  const double* zero_point_sum = nullptr;
  const double* scale = nullptr;
  const double* bias = nullptr;
  int64_t phase_stride = 0;
};

DoubleFactors double_factors(
    const PackedView& packed, const RunPhases& phases, const RunInput& input);

// So many factors are readable, for kernels read whole vectors: up to the next block of channels
// and one more.
int64_t readable_channels(int64_t channels);

// The weights' zero points; null where all are 0.
const int32_t* weight_zero_point_table(const PackedView& packed);

}  // namespace qconv::native
