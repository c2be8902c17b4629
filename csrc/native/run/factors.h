#pragma once

#include <cstdint>

#include "native/format/packed_view.h"
#include "native/run/run.h"
#include "native/run/run_phases.h"

namespace qconv::native {

// Per table and output channel, what turns a kernel's sums over (activation, weight - zero point)
// into numbers: a table for each phase, after them one for outputs that are in none of a transposed
// convolution. Each is readable as far as kernels want it (see store.h),
// with zeros beyond the channels, and `table_stride` numbers from the one before. All lie in memory
// of the calling thread until its next call.
struct FactorTables {
  const PackedView& packed;
  const RunPhases& phases;

  int64_t count() const { return phases.count() + (packed.conv.transposed ? 1 : 0); }
  // What a table is made from. Outputs that are in no phase have no weights: column_sums is null.
  PackedView view(int64_t table) const;
};

// number = sum * multiplier + offset, in float32.
struct FloatFactors {
  const float* multiplier = nullptr;
  const float* offset = nullptr;
  int64_t table_stride = 0;
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
    const FactorTables& tables, const RunInput& input, const FloatBounds& bounds);

// real = (sum + zero_point_sum) * scale + bias, in float64.
struct DoubleFactors {
  const double* zero_point_sum = nullptr;
  const double* scale = nullptr;
  const double* bias = nullptr;
  int64_t table_stride = 0;
};

DoubleFactors double_factors(const FactorTables& tables, const RunInput& input);

// So many factors are readable, for kernels read whole vectors: up to the next block of channels
// and one more.
int64_t readable_channels(int64_t channels);

// The weights' zero points; null where all are 0.
const int32_t* weight_zero_point_table(const PackedView& packed);

}  // namespace qconv::native
