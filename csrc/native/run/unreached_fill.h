#pragma once

#include <cstdint>

#include "native/run/conv_run.h"

namespace qconv::native {

// Writes pixels of the output, `count` from `first` on and `step` apart, by the kernel that writes
// dense convolutions, so that they become what it makes of such sums. negated_sums: minus the sums
// of each output channel, as readable as factors are; null: they are 0. Factors are those of
// outputs in no phase.
void write_pixels(
    const ConvRun& run, const int32_t* negated_sums, int64_t first, int64_t count, int64_t step);

// Writes the outputs that no tap reaches (see UnreachedPixels): sums of nothing.
void fill_unreached(const ConvRun& run);

}  // namespace qconv::native
