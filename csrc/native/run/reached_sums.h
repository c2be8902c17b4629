#pragma once

#include <cstdint>

#include "native/run/conv_run.h"

namespace qconv::native {

// Sums over the weights' integers that the outputs of each of ReachedTaps' tables have:
// [table][output channel]. null: there are no tables. In memory of the calling thread until its
// next call.
const int32_t* reached_sums(const ConvRun& run);

}  // namespace qconv::native
