#pragma once

#include "native/run/conv_run.h"

namespace qconv::native {

// Writes the outputs that no tap reaches (see UnreachedPixels): sums of nothing.
void fill_unreached(const ConvRun& run);

}  // namespace qconv::native
