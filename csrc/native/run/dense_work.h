#pragma once

#include "native/run/conv_run.h"
#include "native/run/in_place_run.h"
#include "native/run/work_split.h"

namespace qconv::native {

// The work of a dense convolution, or of a grouped layout: how large its parts may be, so that what
// they read stays in a cache, and what they cost. in_place: null for others; inside: of an
// InsideRun; else through windows. No
// positions: there is nothing to compute.
Work dense_work(const ConvRun& run, const InPlaceRun* in_place, bool inside);

}  // namespace qconv::native
