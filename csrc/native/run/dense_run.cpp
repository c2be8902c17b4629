#include "native/run/dense_run.h"

#include <algorithm>
#include <optional>
#include <string>

#include "native/run/activation_window.h"
#include "native/run/dense_call.h"
#include "native/run/dense_work.h"
#include "native/run/in_place_run.h"
#include "native/run/parts.h"
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
      text += joins_rows(window, width) ? ", rows joined to one run" : ", a run for every row";
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

  // One run over all rows where they lie at a constant distance, if the kernel likes long runs or
  // no pixel would be computed in vain.
  bool joins_rows(const ActivationWindow& window, int64_t width) const {
    return window.row_pitch() != 0 && (run_.kernels.joins_rows || window.row_pitch() == width);
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
    const ActivationWindow& window = ActivationWindow::of_thread();
    const int64_t width = part.columns;
    const int64_t out_channels = run_.packed.conv.out_channels;
    const bool joined = joins_rows(window, width);
    DenseArguments arguments = block_arguments(run_, blocks);
    arguments.tap_offsets = window.tap_offsets(blocks.phase.phase.index);
    arguments.pixel_stride = window.pixel_stride();
    set_tap_runs(arguments);
    arguments.pixels = joined ? (part.rows - 1) * window.row_pitch() + width : width;
    for (int64_t row = 0; row < (joined ? 1 : part.rows); ++row) {
      const int64_t offset = window.group_offset(blocks.input_group(run_)) +
          (part.row + row) * window.row_stride() + part.column * window.pixel_stride();
      arguments.activation = window_values() + offset * element_bytes();
      arguments.output = {
          run_.output_at(part.first_pixel + row * part.row_step, blocks.channel),
          part.pixel_step * out_channels, part.row_step * out_channels,
          joined ? window.row_pitch() : width, width};
      call_dense_kernel(run_, blocks.phase.phase, arguments);
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
  use(ConvRun{run.packed, run.input, run.output_size, phases, kernels, run.parallel_for, run.plan});
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
