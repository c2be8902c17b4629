#pragma once

#include <cstddef>
#include <cstdint>

#include "native/run/dense_call.h"
#include "native/run/reached_taps.h"
#include "native/run/work_split.h"

namespace qconv::native {

// Calls use(ReachedCut, Area) for what an area of a plane of outputs has of each cut.
template <typename Use>
void for_each_cut(const ReachedTaps& reached, int64_t plane, const Area& area, const Use& use) {
  const auto& [depths, rows, columns] = reached.cuts();
  depths.for_each_within(
      plane, plane + 1, [&, &rows = rows, &columns = columns](size_t d, int64_t, int64_t) {
        rows.for_each_within(
            area.first_row, area.first_row + area.rows, [&](size_t h, int64_t row, int64_t height) {
              columns.for_each_within(
                  area.first_column, area.first_column + area.columns,
                  [&](size_t w, int64_t column, int64_t width) {
                    use(ReachedCut{d, h, w}, Area{row, height, column, width});
                  });
            });
      });
}

// Leaves of a kernel's arguments, which have all taps, those of a cut, and counts their offsets
// from the first one's, which it returns.
int64_t leave_reached_taps(
    const ConvRun& run, const PhaseBlocks& blocks, const ReachedCut& cut,
    DenseArguments& arguments);

}  // namespace qconv::native
