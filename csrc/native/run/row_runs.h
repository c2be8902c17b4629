#pragma once

#include <cstdint>

#include "native/kernels/kernel_set.h"

namespace qconv::native {

// How a dense kernel takes the pixels of an area: a run for each row, or one over all rows and the
// pixels that lie between them.
struct RowRuns {
  bool joined = false;
  int64_t count = 0;
  int64_t pixels = 0;  // that all runs cost together
};

// pitch: pixels from one row to the next, 0 if that is no constant distance.
RowRuns plan_row_runs(const RunTraits& traits, int64_t rows, int64_t columns, int64_t pitch);

}  // namespace qconv::native
