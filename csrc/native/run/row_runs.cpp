#include "native/run/row_runs.h"

#include "native/rounding.h"

namespace qconv::native {
namespace {

int64_t pixels_of_run(const KernelSet& kernels, int64_t pixels) {
  return round_up(pixels, kernels.run_multiple) + kernels.run_ends;
}

}  // namespace

RowRuns plan_row_runs(const KernelSet& kernels, int64_t rows, int64_t columns, int64_t pitch) {
  const RowRuns apart{false, rows, rows * pixels_of_run(kernels, columns)};
  if (pitch == 0 || (pitch != columns && !kernels.joins_rows)) {
    return apart;
  }
  const int64_t pixels = kernels.computes_between ? (rows - 1) * pitch + columns : rows * columns;
  const RowRuns joined{true, 1, pixels_of_run(kernels, pixels)};
  return joined.pixels <= apart.pixels ? joined : apart;
}

}  // namespace qconv::native
