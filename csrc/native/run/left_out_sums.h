#pragma once

#include <cstdint>

#include "native/run/conv_run.h"

namespace qconv::native {

// What the taps that ReachedTaps leaves out would add to sums, had they been multiplied with the
// padding: of every combination of cuts, left_out_stride() numbers from the one before, for each
// output channel. null: nothing. In memory of the calling thread until its next call.
const int32_t* left_out_sums(const ConvRun& run);

int64_t left_out_stride(const ConvRun& run);

}  // namespace qconv::native
