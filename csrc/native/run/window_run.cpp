#include "native/run/window_run.h"

#include <algorithm>

#include "native/run/activation_window.h"
#include "native/run/row_runs.h"
#include "native/run/scratch.h"

namespace qconv::native {

uint8_t* WindowRun::values() const {
  return static_cast<uint8_t*>(
      scratch(ScratchUse::kActivation, static_cast<size_t>(ActivationWindow::of_thread().bytes())));
}

bool WindowRun::joins_rows(int64_t rows, int64_t width) const {
  return plan_row_runs(
             run_.kernels.dense_runs, rows, width, ActivationWindow::of_thread().row_pitch())
      .joined;
}

void WindowRun::prepare(const WorkPart& part, bool copy) const {
  ActivationWindow& window = ActivationWindow::of_thread();
  window.plan(run_, part.area.rows, part.area.columns);
  uint8_t* const to = values();
  const int64_t planes = run_.phases.positions()[0];
  if (copy && element_bytes() == 1) {
    window.copy(part.plane / planes, part.plane % planes, part.area, to);
  } else if (copy) {
    window.copy(
        part.plane / planes, part.plane % planes, part.area, reinterpret_cast<uint16_t*>(to));
  }
}

void WindowRun::run_area(int64_t plane, const Area& area, const PhaseBlocks& blocks) const {
  const int64_t planes = run_.phases.positions()[0];
  const PhasePart part = run_.phases.part(blocks.phase, plane / planes, plane % planes, area);
  if (part.rows == 0) {
    return;
  }
  const bool one_run = run_.reached.all() && joins_rows(part.rows, part.columns);
  const int64_t most = one_run ? blocks.blocks : blocks_in_cache(blocks.phase.phase.layout);
  PhaseBlocks some = blocks;
  for (int64_t first = 0; first < blocks.blocks; first += most) {
    some.first_block = blocks.first_block + first;
    some.channel = blocks.channel + first * kBlockColumns;
    some.blocks = std::min(most, blocks.blocks - first);
    run_blocks(part, plane % planes, area, some);
  }
}

// So many blocks' weights stay in the second-level cache from one run of a kernel to the next.
int64_t WindowRun::blocks_in_cache(const Layout& layout) const {
  const int64_t pairs = 2 * run_.kernels.window_bytes / (2 * layout.block_bytes());
  return 2 * std::max<int64_t>(pairs, 1);
}

void WindowRun::run_blocks(
    const PhasePart& part, int64_t plane, const Area& area, const PhaseBlocks& blocks) const {
  DenseArguments arguments = block_arguments(run_, blocks);
  arguments.tap_offsets = ActivationWindow::of_thread().tap_offsets(blocks.phase.phase.index);
  if (run_.reached.all()) {
    run_rows(part, {0, part.rows, 0, part.columns}, blocks, blocks.phase.phase.index, arguments);
    return;
  }
  // A forward convolution, whose positions are its outputs.
  const TapCuts& depths = run_.reached.cuts()[0];
  const TapCuts& rows = run_.reached.cuts()[1];
  const TapCuts& columns = run_.reached.cuts()[2];
  depths.for_each_within(plane, plane + 1, [&](size_t d, int64_t, int64_t) {
    rows.for_each_within(
        area.first_row, area.first_row + area.rows, [&](size_t h, int64_t row, int64_t height) {
          columns.for_each_within(
              area.first_column, area.first_column + area.columns,
              [&](size_t w, int64_t column, int64_t width) {
                const Area some{row - area.first_row, height, column - area.first_column, width};
                run_cut(part, some, blocks, {d, h, w}, arguments);
              });
        });
  });
}

// Outputs in these cuts, with the taps that they have.
void WindowRun::run_cut(
    const PhasePart& part, const Area& area, const PhaseBlocks& blocks,
    const std::array<size_t, 3>& cut, DenseArguments arguments) const {
  auto* const offsets = static_cast<int64_t*>(
      scratch(ScratchUse::kReachedTaps, static_cast<size_t>(2 * arguments.taps) * sizeof(int64_t)));
  int64_t* const places = offsets + arguments.taps;
  int64_t taps = 0;
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    if (run_.reached.has_tap(blocks.phase.phase.layout, cut, tap)) {
      places[taps] = tap;
      offsets[taps] = arguments.tap_offsets[tap];
      ++taps;
    }
  }
  arguments.tap_places = taps == arguments.taps ? nullptr : places;
  arguments.tap_offsets = offsets;
  arguments.taps = taps;
  const int64_t table = run_.reached.table(cut);
  set_store(run_, table, blocks.channel, arguments);
  run_rows(part, area, blocks, table, arguments);
}

// An area of those outputs of a part that `part` names, counted from its first one.
void WindowRun::run_rows(
    const PhasePart& part, const Area& area, const PhaseBlocks& blocks, int64_t table,
    DenseArguments& arguments) const {
  const ActivationWindow& window = ActivationWindow::of_thread();
  const int64_t width = area.columns;
  const int64_t out_channels = run_.packed.conv.out_channels;
  const bool joined = joins_rows(area.rows, width);
  arguments.pixel_stride = window.pixel_stride();
  set_tap_runs(arguments);
  arguments.pixels = joined ? (area.rows - 1) * window.row_pitch() + width : width;
  for (int64_t i = 0; i < (joined ? 1 : area.rows); ++i) {
    const int64_t row = area.first_row + i;
    const int64_t offset = window.group_offset(blocks.input_group(run_)) +
        (part.row + row) * window.row_stride() +
        (part.column + area.first_column) * window.pixel_stride();
    arguments.activation = values() + offset * element_bytes();
    const int64_t pixel =
        part.first_pixel + row * part.row_step + area.first_column * part.pixel_step;
    arguments.output = {
        run_.output_at(pixel, blocks.channel), part.pixel_step * out_channels,
        part.row_step * out_channels, joined ? window.row_pitch() : width, width};
    set_activation_sums(run_, blocks.phase.phase, arguments);
    store_dense(run_, table, arguments);
  }
}

}  // namespace qconv::native
