#include "native/run/dense_run.h"

#include <algorithm>
#include <optional>
#include <string>

#include "native/rounding.h"
#include "native/run/activation_window.h"
#include "native/run/dense_call.h"
#include "native/run/in_place_run.h"
#include "native/run/parts.h"
#include "native/run/scratch.h"
#include "native/run/single_pixel_run.h"
#include "native/run/thread_count.h"
#include "native/run/unreached_fill.h"
#include "native/run/work_split.h"

namespace qconv::native {
namespace {

// What several phases or blocks of channels pass over stays in the second-level cache beside the
// weights that pass through it: a window, or a part of the activation.
constexpr int64_t kLargestWindow = 256 * 1024;
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
      window().plan(run_, rows, columns);
      text += ", window of " + std::to_string(rows) + " rows";
      if (columns < split_.work.columns) {
        text += " by " + std::to_string(columns) + " columns";
      }
      text += ", " + std::to_string(window_bytes()) + " bytes";
      const int64_t width = std::min(columns, run_.phases.at(0).axes[2].outputs);
      text += joins_rows(window(), width) ? ", rows joined to one run" : ", a run for every row";
    }
    return text + ", " + parts_on_threads(threads_, split_.parts());
  }

 private:
  // Returns whether there is anything to compute.
  bool plan() {
    const Extent& positions = run_.phases.positions();
    Work work;
    work.planes = in_place_ ? in_place_->planes() : run_.input.batch * positions[0];
    work.rows = in_place_ ? in_place_->rows() : positions[1];
    work.columns = in_place_ ? in_place_->columns() : positions[2];
    work.blocks = all_blocks(run_);
    if (work.planes * work.rows * work.columns == 0) {
      return false;
    }
    work.microseconds = run_microseconds(run_);
    work.block_microseconds =
        static_cast<double>(run_.phases.at(0).phase.layout.block_bytes()) / kReadSpeed;
    in_place_ ? plan_in_place(work) : plan_windows(work);
    // Pairs of blocks, as kernels take them, and whole cache lines of the output, which threads
    // would take from each other. Of several groups, parts are whole ones.
    const Layout& layout = run_.packed.layout;
    const int64_t line_blocks = kCacheLine / (kBlockColumns * run_.plan.output_bytes());
    work.block_multiple = layout.groups > 1 ? layout.blocks : std::max<int64_t>(line_blocks, 2);
    split_ = split_work(work, threads_);
    return true;
  }

  void plan_in_place(Work& work) const {
    work.most_rows = work.rows;
    work.most_columns = work.columns;
    work.row_microseconds =
        static_cast<double>(work.columns * run_.packed.conv.in_channels) / kReadSpeed;
    if (in_place_->is_flat()) {
      if (run_.plan.weight_zero_points != nullptr) {
        work.most_rows = std::min(work.rows, kMostSummedPixels);
      }
      return;
    }
    const int64_t pixels = std::max(kFewestColumns, kLargestWindow / run_.packed.conv.in_channels);
    work.most_rows = std::clamp<int64_t>(pixels / work.columns, 1, work.rows);
    work.most_columns = std::min(work.columns, pixels);
  }

  // The area whose window is small enough, and copies the least for each output.
  void plan_windows(Work& work) const {
    double least = 0;
    for (int64_t columns = work.columns;; columns = ceil_divide(columns, 2)) {
      window().plan(run_, 1, columns);
      const int64_t one_row = window_bytes();
      window().plan(run_, 2, columns);
      const int64_t another = window_bytes() - one_row;
      const int64_t rows =
          std::clamp<int64_t>((kLargestWindow - one_row) / another + 1, 1, work.rows);
      const int64_t bytes = one_row + (rows - 1) * another;
      const double copied = static_cast<double>(bytes) / static_cast<double>(rows * columns) *
          (1 + kLostColumns / static_cast<double>(columns));
      if (least == 0 || copied < least || one_row > kLargestWindow) {
        least = one_row > kLargestWindow ? 0 : copied;
        work.most_rows = rows;
        work.most_columns = columns;
        work.overlap = one_row / another - 1;
        work.row_microseconds = static_cast<double>(another) / kCopySpeed *
            static_cast<double>(work.columns) / static_cast<double>(columns);
      }
      if (rows >= std::min(work.rows, kEnoughRows) && one_row <= kLargestWindow) {
        return;
      }
      if (columns <= kFewestColumns) {
        return;
      }
    }
  }

  static ActivationWindow& window() {
    static thread_local ActivationWindow window;
    return window;
  }

  int64_t window_bytes() const { return window().elements() * element_bytes(); }

  // The calling thread's copy of the window that is planned.
  uint8_t* window_values() const {
    return static_cast<uint8_t*>(
        scratch(ScratchUse::kActivation, static_cast<size_t>(window_bytes())));
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
    ActivationWindow& window = DenseRun::window();
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
    const ActivationWindow& window = DenseRun::window();
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
