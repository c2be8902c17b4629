#include "native/run/dense_work.h"

#include <algorithm>

#include "native/rounding.h"
#include "native/run/activation_window.h"
#include "native/run/dense_call.h"
#include "native/run/thread_count.h"

namespace qconv::native {
namespace {

// Columns of a window whose rows are cut aren't fewer, whatever its size.
constexpr int64_t kFewestColumns = 32;
// Whole rows are cut where a window would hold fewer of them: most of it would be rows that the
// next window holds too.
constexpr int64_t kEnoughRows = 8;
// What the ends of a part's rows cost, in columns: pixels that fill no tile.
constexpr double kLostColumns = 8;
// For which sums of activations are kept, where weights have zero points.
constexpr int64_t kMostSummedPixels = 16384;
constexpr int64_t kCacheLine = 64;
// Bytes a microsecond, about: what comes from beyond the second-level cache, and windows that are
// copied.
constexpr double kReadSpeed = 60e3;
constexpr double kCopySpeed = 15e3;

// Areas of the activation as it lies.
void plan_in_place(const ConvRun& run, const InPlaceRun& in_place, Work& work) {
  work.most_rows = work.rows;
  work.most_columns = work.columns;
  work.row_microseconds =
      static_cast<double>(work.columns * run.packed.conv.in_channels) / kReadSpeed;
  if (in_place.is_flat()) {
    if (run.plan.weight_zero_points != nullptr) {
      work.most_rows = std::min(work.rows, kMostSummedPixels);
    }
    if (run.packed.layout.groups > 1) {
      // Groups share lines of the cache: all pass over an area while the second level holds it and
      // its outputs.
      const int64_t pixels = run.kernels.window_bytes / 2 / run.packed.conv.in_channels;
      work.most_rows = std::min(work.most_rows, std::max(kFewestColumns, pixels));
    }
    return;
  }
  const int64_t pixels =
      std::max(kFewestColumns, run.kernels.window_bytes / run.packed.conv.in_channels);
  work.most_rows = std::clamp<int64_t>(pixels / work.columns, 1, work.rows);
  work.most_columns = std::min(work.columns, pixels);
}

// Whole planes, whose weights then come from afar once.
void plan_inside(const ConvRun& run, Work& work) {
  work.most_rows = work.rows;
  work.most_columns = work.columns;
  work.row_microseconds =
      static_cast<double>(work.columns * run.packed.conv.in_channels) / kReadSpeed;
  work.overlap = (run.packed.conv.kernel[1] - 1) * run.packed.conv.dilation[1];
  if (run.plan.weight_zero_points != nullptr) {
    work.most_rows = std::clamp<int64_t>(kMostSummedPixels / run.input.size[2], 1, work.rows);
    work.most_columns = std::min(work.columns, kMostSummedPixels);
  }
}

int64_t window_bytes(const ConvRun& run, int64_t rows, int64_t columns) {
  ActivationWindow& window = ActivationWindow::of_thread();
  window.plan(run, rows, columns);
  return window.bytes();
}

// The area whose window is small enough, and copies the least for each output.
void plan_windows(const ConvRun& run, Work& work) {
  double least = 0;
  for (int64_t columns = work.columns;; columns = ceil_divide(columns, 2)) {
    const int64_t one_row = window_bytes(run, 1, columns);
    int64_t rows = 1;
    int64_t bytes = one_row;
    int64_t another = 0;
    // Rows add equally many bytes, or from some number of rows on fewer: where dilation sets taps
    // far apart. So the first step may be too short.
    for (int step = 0; step < 2; ++step) {
      another = window_bytes(run, rows + 1, columns) - bytes;
      const int64_t more = std::max<int64_t>((run.kernels.window_bytes - bytes) / another, 0);
      rows = std::min(rows + more, work.rows);
      bytes = rows == 1 ? one_row : window_bytes(run, rows, columns);
    }
    const double copied = static_cast<double>(bytes) / static_cast<double>(rows * columns) *
        (1 + kLostColumns / static_cast<double>(columns));
    const bool fits = one_row <= run.kernels.window_bytes;
    if (least == 0 || copied < least || !fits) {
      least = fits ? copied : 0;
      work.most_rows = rows;
      work.most_columns = columns;
      work.overlap = one_row / another - 1;
      work.row_microseconds = static_cast<double>(another) / kCopySpeed *
          static_cast<double>(work.columns) / static_cast<double>(columns);
    }
    const bool holds_enough = fits && rows >= std::min(work.rows, kEnoughRows);
    if (holds_enough || columns <= kFewestColumns) {
      return;
    }
  }
}

}  // namespace

Work dense_work(const ConvRun& run, const InPlaceRun* in_place, bool inside) {
  const Extent& positions = run.phases.positions();
  Work work;
  work.planes = in_place != nullptr ? in_place->planes() : run.input.batch * positions[0];
  work.rows = in_place != nullptr ? in_place->rows() : positions[1];
  work.columns = in_place != nullptr ? in_place->columns() : positions[2];
  work.blocks = all_blocks(run);
  if (work.planes * work.rows * work.columns == 0) {
    return work;
  }
  work.microseconds = run_microseconds(run);
  work.block_microseconds =
      static_cast<double>(run.phases.at(0).phase.layout.block_bytes()) / kReadSpeed;
  // Pairs of blocks, as kernels take them, and whole cache lines of the output, which threads would
  // take from each other. Of several groups, parts are whole ones.
  const Layout& layout = run.packed.layout;
  const int64_t line_blocks = kCacheLine / (kBlockColumns * run.plan.output_bytes());
  work.block_multiple = layout.groups > 1 ? layout.blocks : std::max<int64_t>(line_blocks, 2);
  if (inside) {
    plan_inside(run, work);
  } else {
    in_place != nullptr ? plan_in_place(run, *in_place, work) : plan_windows(run, work);
  }
  return work;
}

}  // namespace qconv::native
