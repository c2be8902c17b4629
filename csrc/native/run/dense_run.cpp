#include "native/run/dense_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "native/run/activation_window.h"
#include "native/run/dense_call.h"
#include "native/run/dense_work.h"
#include "native/run/in_place_run.h"
#include "native/run/parts.h"
#include "native/run/row_runs.h"
#include "native/run/scratch.h"
#include "native/run/single_pixel_run.h"
#include "native/run/thread_count.h"
#include "native/run/unreached_fill.h"
#include "native/run/work_split.h"

namespace qconv::native {
namespace {

class DenseRun {
 public:
  explicit DenseRun(const ConvRun& run) : run_(run), threads_(useful_threads(run)) {
    if (InPlaceRun::can(run)) {
      in_place_.emplace(run);
    }
  }

  void run() {
    fill_unreached(run_);
    if (plan()) {
      share_parts(
          run_.parallel_for, threads_, split_.parts(), [&](PartTaker& taker) { run_parts(taker); });
    }
  }

  std::string describe() {
    if (!plan()) {
      return "nothing to compute";
    }
    const Layout layout = run_.phases.at(0).phase.layout;
    std::string text;
    if (run_.packed.conv.transposed) {
      text = "phases " + std::to_string(run_.phases.count()) + ", the first: ";
    }
    text += "blocks of 16 channels " + std::to_string(layout.blocks);
    text += ", taps " + std::to_string(layout.taps) + " x " + std::to_string(layout.depth) +
        " bytes" + (layout.folds_width ? " (columns folded)" : "");
    const int64_t rows = split_.rows_per_part;
    const int64_t columns = split_.columns_per_part;
    if (in_place_) {
      text +=
          ", activation read in place (1x1), " + std::to_string(rows * columns) + " pixels a part";
    } else {
      ActivationWindow& window = ActivationWindow::of_thread();
      window.plan(run_, rows, columns);
      text += ", window of " + std::to_string(rows) + " rows";
      if (columns < split_.work.columns) {
        text += " by " + std::to_string(columns) + " columns";
      }
      text += ", " + std::to_string(window.bytes()) + " bytes";
      const int64_t width = std::min(columns, run_.phases.at(0).axes[2].outputs);
      text += joins_rows(rows, width) ? ", rows joined to one run" : ", a run for every row";
    }
    if (!run_.reached.all()) {
      const auto left = static_cast<int64_t>(std::round(100 * run_.reached.share()));
      text += ", taps outside of the input left out: " + std::to_string(left) + " % remain";
    }
    return text + ", " + parts_on_threads(threads_, split_.parts());
  }

 private:
  // Returns whether there is anything to compute.
  bool plan() {
    const Work work = dense_work(run_, in_place_ ? &*in_place_ : nullptr);
    if (work.planes * work.rows * work.columns == 0) {
      return false;
    }
    split_ = split_work(work, threads_);
    return true;
  }

  // The calling thread's copy of the window that is planned.
  uint8_t* window_values() const {
    return static_cast<uint8_t*>(scratch(
        ScratchUse::kActivation, static_cast<size_t>(ActivationWindow::of_thread().bytes())));
  }

  int64_t element_bytes() const { return run_.kernels.widen == nullptr ? 1 : 2; }

  void run_parts(PartTaker& taker) {
    int64_t window_of = -1;  // the area that the thread's window holds
    while (const std::optional<int64_t> number = taker.next()) {
      const WorkPart part = split_.part(*number);
      if (!in_place_) {
        prepare_window(part, part.area_number != window_of);
        window_of = part.area_number;
      }
      for_each_group(run_, part.first_block, part.blocks, [&](const PhaseBlocks& group) {
        if (in_place_) {
          in_place_->run_area(part.plane, part.area, group);
        } else {
          run_window(part.plane, part.area, group);
        }
      });
    }
  }

  // Of the planned window.
  bool joins_rows(int64_t rows, int64_t width) const {
    return plan_row_runs(run_.kernels, rows, width, ActivationWindow::of_thread().row_pitch())
        .joined;
  }

  void prepare_window(const WorkPart& part, bool copy) {
    ActivationWindow& window = ActivationWindow::of_thread();
    window.plan(run_, part.area.rows, part.area.columns);
    uint8_t* const values = window_values();
    const int64_t planes = run_.phases.positions()[0];
    if (copy && element_bytes() == 1) {
      window.copy(part.plane / planes, part.plane % planes, part.area, values);
    } else if (copy) {
      window.copy(
          part.plane / planes, part.plane % planes, part.area, reinterpret_cast<uint16_t*>(values));
    }
  }

  // An area of one plane of positions, from the window.
  void run_window(int64_t plane, const Area& area, const PhaseBlocks& blocks) const {
    const int64_t planes = run_.phases.positions()[0];
    const PhasePart part = run_.phases.part(blocks.phase, plane / planes, plane % planes, area);
    if (part.rows == 0) {
      return;
    }
    DenseArguments arguments = block_arguments(run_, blocks);
    arguments.tap_offsets = ActivationWindow::of_thread().tap_offsets(blocks.phase.phase.index);
    if (run_.reached.all()) {
      run_rows(part, {0, part.rows, 0, part.columns}, blocks, blocks.phase.phase.index, arguments);
      return;
    }
    // A forward convolution, whose positions are its outputs.
    const auto& [depths, rows, columns] = run_.reached.cuts();
    depths.for_each_within(plane % planes, plane % planes + 1, [&](size_t d, int64_t, int64_t) {
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
  void run_cut(
      const PhasePart& part, const Area& area, const PhaseBlocks& blocks,
      const std::array<size_t, 3>& cut, DenseArguments arguments) const {
    auto* const offsets = static_cast<int64_t*>(scratch(
        ScratchUse::kReachedTaps, static_cast<size_t>(2 * arguments.taps) * sizeof(int64_t)));
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
  void run_rows(
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
      arguments.activation = window_values() + offset * element_bytes();
      const int64_t pixel =
          part.first_pixel + row * part.row_step + area.first_column * part.pixel_step;
      arguments.output = {
          run_.output_at(pixel, blocks.channel), part.pixel_step * out_channels,
          part.row_step * out_channels, joined ? window.row_pitch() : width, width};
      set_activation_sums(run_, blocks.phase.phase, arguments);
      store_dense(run_, table, arguments);
    }
  }

  const ConvRun& run_;
  const int threads_;
  std::optional<InPlaceRun> in_place_;
  WorkSplit split_;
};

// Grouped layouts run as dense ones do, with other kernels.
KernelSet kernels_of(const ConvRun& run) {
  KernelSet kernels = run.kernels;
  if (run.packed.layout.kind == LayoutKind::kGrouped) {
    kernels.dense = kernels.grouped;
    kernels.dense_below_128 = kernels.grouped_below_128;
    kernels.reads_padding = false;
    kernels.joins_rows = kernels.grouped_joins_rows;
  }
  return kernels;
}

// Folded taps want a window for every group, copied pixel by pixel. Where no kernel gains by long
// taps, these are taken apart instead.
bool should_unfold(const ConvRun& run) {
  const Layout& layout = run.packed.layout;
  const Convolution& conv = run.packed.conv;
  return layout.folds_width && layout.folded_rows == 1 && conv.groups > 1 && !conv.transposed &&
      !run.kernels.reads_padding && conv.in_channels_per_group() % kQuad == 0 &&
      layout.quads_per_tap() * kQuad == layout.depth;
}

// Calls use(the run with these kernels, and with the taps that suit them).
template <typename Use>
void with_kernels(const ConvRun& run, const KernelSet& kernels, const Use& use) {
  RunPhases phases = run.phases;
  if (should_unfold(run)) {
    phases.unfold_width();
  }
  const ConvRun suitable{
      .packed = run.packed,
      .input = run.input,
      .output_size = run.output_size,
      .phases = phases,
      .reached = run.reached,
      .kernels = kernels,
      .parallel_for = run.parallel_for,
      .plan = run.plan};
  use(suitable);
}

}  // namespace

void run_dense(const ConvRun& run) {
  if (can_run_single_pixel(run)) {
    run_single_pixel(run);
    return;
  }
  KernelSet kernels = kernels_of(run);
  // Activations of 7 bits, as reduce_range makes them, have kernels of their own on some sets.
  const int64_t count = run.input.batch * run.input.size[0] * run.input.size[1] *
      run.input.size[2] * run.packed.conv.in_channels;
  if (kernels.dense_below_128 != nullptr && run.input_flip() == 0 && run.input.zero_point < 128 &&
      kernels.all_below_128(run.input_bytes(), count)) {
    kernels.dense = kernels.dense_below_128;
    kernels.widen = nullptr;
  }
  with_kernels(run, kernels, [](const ConvRun& suitable) { DenseRun(suitable).run(); });
}

std::string describe_dense(const ConvRun& run) {
  if (can_run_single_pixel(run)) {
    return describe_single_pixel(run);
  }
  std::string text;
  with_kernels(
      run, kernels_of(run), [&](const ConvRun& suitable) { text = DenseRun(suitable).describe(); });
  return text;
}

}  // namespace qconv::native
