#pragma once

#include <cstdint>

#include "native/format/packed_view.h"
#include "native/kernels/dense.h"
#include "native/run/run.h"
#include "native/run/run_phases.h"

namespace qconv::native {

// The factors that kernels requantize with, in memory of the calling thread (see scratch.h).
struct RequantizationTable {
  Requantization requantization;  // of the first phase
  // Factors from one phase to the next. After the last one follow those of outputs without a tap.
  int64_t phase_stride = 0;
  const int32_t* weight_zero_points = nullptr;  // per output channel; null where all are 0
  // Whether the kernels' float32 steps are within 1e-3 quanta of exact numbers. Otherwise they
  // must return sums, for requantize_exactly.
  bool exact_in_float32 = false;
};

RequantizationTable requantization_table(
    const PackedView& packed, const RunPhases& phases, const RunInput& input,
    const RunOutput& output);

// The weights' zero points, one per output channel and as readable as DenseArguments asks, in
// memory of the calling thread; null where all are 0.
const int32_t* weight_zero_point_table(const PackedView& packed);

// Turns a kernel's sums, [pixels, out_channels], into the output in double precision.
void requantize_exactly(
    const PackedView& packed, const RunPhases& phases, const RunInput& input, const int32_t* sums,
    const RunOutput& output);

// The same into real numbers; `output` may be the memory of `sums`.
void sums_to_float(
    const PackedView& packed, const RunPhases& phases, const RunInput& input, const int32_t* sums,
    float* output);

}  // namespace qconv::native
