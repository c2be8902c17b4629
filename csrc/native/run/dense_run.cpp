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

class DenseRun {
 public:
  explicit DenseRun(const ConvRun& run) : run_(run), threads_(useful_threads(run)) {
    if (InPlaceRun::can(run)) {
      in_place_.emplace(run);
      planes_ = in_place_->planes();
      rows_ = in_place_->rows();
    } else {
      const Extent& positions = run.phases.positions();
      planes_ = run.input.batch * positions[0];
      rows_ = positions[2] == 0 ? 0 : positions[1];
    }
  }

  void run() {
    fill_unreached(run_);
    if (planes_ * rows_ == 0) {
      return;
    }
    plan();
    for_each_part(run_.parallel_for, threads_, parts(), [&](int64_t begin, int64_t end) {
      run_parts(begin, end);
    });
  }

  std::string describe() {
    if (planes_ * rows_ == 0) {
      return "nothing to compute";
    }
    plan();
    const Layout layout = run_.phases.at(0).phase.layout;
    std::string text;
    if (run_.packed.conv.transposed) {
      text = "phases " + std::to_string(run_.phases.count()) + ", the first: ";
    }
    text += "blocks of 16 channels " + std::to_string(layout.blocks);
    text += ", taps " + std::to_string(layout.taps) + " x " + std::to_string(layout.depth) +
        " bytes" + (layout.folds_width ? " (columns folded)" : "");
    if (in_place_) {
      text += ", activation read in place (1x1), " +
          std::to_string(split_.rows_per_part * in_place_->row_pixels()) + " pixels a part";
    } else {
      window().plan(run_, split_.rows_per_part);
      text += ", window of " + std::to_string(split_.rows_per_part) + " rows, " +
          std::to_string(window().elements() * element_bytes()) + " bytes";
      text += joins_rows(window(), run_.phases.at(0).axes[2].outputs) ? ", rows joined to one run"
                                                                      : ", a run for every row";
    }
    return text + ", " + parts_on_threads(threads_, parts());
  }

 private:
  void plan() {
    split_ = split_work(planes_, rows_, all_blocks(run_), most_rows(), threads_);
    // Pairs of blocks, as kernels take them. Of several groups, parts are whole ones.
    split_.blocks_per_part += split_.blocks_per_part % 2;
    if (run_.packed.layout.groups > 1) {
      split_.blocks_per_part = round_up(split_.blocks_per_part, run_.packed.layout.blocks);
    }
    split_.block_parts = ceil_divide(all_blocks(run_), split_.blocks_per_part);
  }

  int64_t parts() const { return planes_ * split_.row_parts * split_.block_parts; }

  int64_t most_rows() const {
    if (in_place_) {
      const int64_t row = in_place_->row_pixels() * run_.packed.conv.in_channels;
      return run_.phases.count() == 1 ? rows_ : std::clamp<int64_t>(kLargestWindow / row, 1, rows_);
    }
    window().plan(run_, 1);
    const int64_t one_row = window().elements() * element_bytes();
    window().plan(run_, std::min<int64_t>(rows_, 2));
    const int64_t another = window().elements() * element_bytes() - one_row;
    return std::clamp<int64_t>(
        (kLargestWindow - one_row) / std::max<int64_t>(another, 1) + 1, 1, rows_);
  }

  static ActivationWindow& window() {
    static thread_local ActivationWindow window;
    return window;
  }

  // The calling thread's copy of the window that is planned.
  uint8_t* window_values() const {
    return static_cast<uint8_t*>(scratch(
        ScratchUse::kActivation, static_cast<size_t>(window().elements() * element_bytes())));
  }

  int64_t element_bytes() const { return run_.kernels.widen == nullptr ? 1 : 2; }

  void run_parts(int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      // Channels innermost: parts of one thread share a window.
      const int64_t block_part = part % split_.block_parts;
      const int64_t row_part = part / split_.block_parts % split_.row_parts;
      const int64_t plane = part / split_.block_parts / split_.row_parts;
      const int64_t first_row = row_part * split_.rows_per_part;
      const int64_t rows = std::min(split_.rows_per_part, rows_ - first_row);
      const int64_t first_block = block_part * split_.blocks_per_part;
      const int64_t blocks = std::min(split_.blocks_per_part, all_blocks(run_) - first_block);
      if (!in_place_) {
        const bool same_window = part != begin && block_part != 0;
        prepare_window(plane, first_row, rows, !same_window);
      }
      for_each_group(run_, first_block, blocks, [&](const PhaseBlocks& group) {
        if (in_place_) {
          in_place_->run_rows(plane, first_row, rows, group);
        } else {
          run_window(plane, first_row, rows, group);
        }
      });
    }
  }

  // One run over all rows where they lie at a constant distance, if the kernel likes long runs or
  // no pixel would be computed in vain.
  bool joins_rows(const ActivationWindow& window, int64_t width) const {
    return window.row_pitch() != 0 && (run_.kernels.joins_rows || window.row_pitch() == width);
  }

  void prepare_window(int64_t plane, int64_t first_row, int64_t rows, bool copy) {
    ActivationWindow& window = DenseRun::window();
    window.plan(run_, rows);
    uint8_t* const values = window_values();
    const int64_t planes = run_.phases.positions()[0];
    if (copy && element_bytes() == 1) {
      window.copy(plane / planes, plane % planes, first_row, values);
    } else if (copy) {
      window.copy(plane / planes, plane % planes, first_row, reinterpret_cast<uint16_t*>(values));
    }
  }

  // Rows [first_row, first_row + rows) of one plane of positions, from the window.
  void run_window(int64_t plane, int64_t first_row, int64_t rows, const PhaseBlocks& blocks) const {
    const int64_t planes = run_.phases.positions()[0];
    const PhasePart part =
        run_.phases.part(blocks.phase, plane / planes, plane % planes, first_row, rows);
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
  int64_t planes_ = 0;
  int64_t rows_ = 0;
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
