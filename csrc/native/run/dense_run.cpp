#include "native/run/dense_run.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "native/run/activation_window.h"
#include "native/run/dense_call.h"
#include "native/run/dense_work.h"
#include "native/run/in_place_run.h"
#include "native/run/inside_run.h"
#include "native/run/parts.h"
#include "native/run/single_pixel_run.h"
#include "native/run/thread_count.h"
#include "native/run/unreached_fill.h"
#include "native/run/window_run.h"
#include "native/run/work_split.h"

namespace qconv::native {
namespace {

class DenseRun {
 public:
  explicit DenseRun(const ConvRun& run)
      : run_(run), threads_(useful_threads(run)), window_run_(run) {
    if (InPlaceRun::can(run)) {
      in_place_.emplace(run);
    } else if (InsideRun::can(run)) {
      inside_.emplace(run);
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
    if (in_place_ || inside_) {
      text += ", activation read in place" + std::string(in_place_ ? " (1x1)" : "") + ", " +
          std::to_string(rows * columns) + " pixels a part";
    } else {
      ActivationWindow& window = ActivationWindow::of_thread();
      window.plan(run_, rows, columns);
      text += ", window of " + std::to_string(rows) + " rows";
      if (columns < split_.work.columns) {
        text += " by " + std::to_string(columns) + " columns";
      }
      text += ", " + std::to_string(window.bytes()) + " bytes";
      const int64_t width = std::min(columns, run_.phases.at(0).axes[2].outputs);
      text += window_run_.joins_rows(rows, width) ? ", rows joined to one run"
                                                  : ", a run for every row";
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
    const Work work = dense_work(run_, in_place_ ? &*in_place_ : nullptr, inside_.has_value());
    if (work.planes * work.rows * work.columns == 0) {
      return false;
    }
    split_ = split_work(work, threads_);
    return true;
  }

  void run_parts(PartTaker& taker) {
    int64_t window_of = -1;  // the area that the thread's window holds
    while (const std::optional<int64_t> number = taker.next()) {
      const WorkPart part = split_.part(*number);
      if (!in_place_ && !inside_) {
        window_run_.prepare(part, part.area_number != window_of);
        window_of = part.area_number;
      }
      for_each_group(run_, part.first_block, part.blocks, [&](const PhaseBlocks& group) {
        if (in_place_) {
          in_place_->run_area(part.plane, part.area, group);
        } else if (inside_) {
          inside_->run_area(part.plane, part.area, group);
        } else {
          window_run_.run_area(part.plane, part.area, group);
        }
      });
    }
  }

  const ConvRun& run_;
  const int threads_;
  std::optional<InPlaceRun> in_place_;
  std::optional<InsideRun> inside_;  // with neither of them through windows
  const WindowRun window_run_;
  WorkSplit split_;
};

// Grouped layouts run as dense ones do, with other kernels.
KernelSet kernels_of(const ConvRun& run) {
  KernelSet kernels = run.kernels;
  if (run.packed.layout.kind == LayoutKind::kGrouped) {
    kernels.dense = kernels.grouped;
    kernels.dense_below_128 = kernels.grouped_below_128;
    kernels.reads_padding = false;
    kernels.dense_runs = kernels.grouped_runs;
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
      .left_out_sums = run.left_out_sums,
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
