#pragma once

#include "native/run/conv_run.h"

namespace qconv::native {

// How many of the caller's threads are worth waking for a run: each must get several times the work
// that waking it costs. At least 1, at most what the caller has.
int useful_threads(const ConvRun& run);

}  // namespace qconv::native
