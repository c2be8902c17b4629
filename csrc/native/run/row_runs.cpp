#include "native/run/row_runs.h"

#include "native/rounding.h"

namespace qconv::native {
namespace {

int64_t pixels_of_run(const RunTraits& traits, int64_t pixels) {
  // This is computed for every call: mostly without a division.
  return (traits.multiple == 1 ? pixels : round_up(pixels, traits.multiple)) + traits.ends;
}

}  // namespace

RowRuns plan_row_runs(const RunTraits& traits, int64_t rows, int64_t columns, int64_t pitch) {
  const RowRuns apart{false, rows, rows * pixels_of_run(traits, columns)};
  if (pitch == 0 || (pitch != columns && !traits.joins_rows)) {
    return apart;
  }
  const int64_t pixels = traits.computes_between ? (rows - 1) * pitch + columns : rows * columns;
  const RowRuns joined{true, 1, pixels_of_run(traits, pixels)};
  return joined.pixels <= apart.pixels ? joined : apart;
}

}  // namespace qconv::native
