#include "native/run/window_run.h"

#include "native/run/activation_window.h"
#include "native/run/reached_cut.h"
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
  const auto run_some = [&](const PhaseBlocks& some) {
    run_blocks(part, plane % planes, area, some);
  };
  one_run ? run_some(blocks) : for_each_chunk(run_, blocks, run_some);
}

void WindowRun::run_blocks(
    const PhasePart& part, int64_t plane, const Area& area, const PhaseBlocks& blocks) const {
  DenseArguments arguments = block_arguments(run_, blocks);
  arguments.tap_offsets = ActivationWindow::of_thread().tap_offsets(blocks.phase.phase.index);
  if (run_.reached.all()) {
    run_rows(part, {0, part.rows, 0, part.columns}, blocks, 0, arguments);
    return;
  }
  // A forward convolution, whose positions are its outputs.
  for_each_cut(run_.reached, plane, area, [&](const ReachedCut& cut, const Area& outputs) {
    DenseArguments left = arguments;
    const int64_t first_tap = leave_reached_taps(run_, blocks, cut, left);
    const Area some{
        outputs.first_row - area.first_row, outputs.rows, outputs.first_column - area.first_column,
        outputs.columns};
    run_rows(part, some, blocks, first_tap, left);
  });
}

// An area of those outputs of a part that `part` names, counted from its first one. first_tap: the
// offset that the taps' offsets are counted from.
void WindowRun::run_rows(
    const PhasePart& part, const Area& area, const PhaseBlocks& blocks, int64_t first_tap,
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
        (part.column + area.first_column) * window.pixel_stride() + first_tap;
    arguments.activation = values() + offset * element_bytes();
    const int64_t pixel =
        part.first_pixel + row * part.row_step + area.first_column * part.pixel_step;
    arguments.output = {
        run_.output_at(pixel, blocks.channel), part.pixel_step * out_channels,
        part.row_step * out_channels, joined ? window.row_pitch() : width, width};
    call_dense_kernel(run_, blocks.phase.phase, arguments);
  }
}

}  // namespace qconv::native
