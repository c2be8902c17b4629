#pragma once

#include "native/run/conv_run.h"

namespace qconv::native {

// What a run takes on one thread, about.
double run_microseconds(const ConvRun& run);

// How many of the caller's threads are worth waking for a run: each must get some work, and all
// together must gain more than they cost. At least 1, at most what the caller has.
int useful_threads(const ConvRun& run);

}  // namespace qconv::native
