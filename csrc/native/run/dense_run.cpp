#include "native/run/dense_run.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "native/rounding.h"
#include "native/run/activation_window.h"
#include "native/run/parts.h"
#include "native/run/scratch.h"
#include "native/run/thread_count.h"
#include "native/run/work_split.h"

namespace qconv::native {
namespace {

// A window that stays in the second-level cache beside the weights that pass through it.
constexpr int64_t kLargestWindow = 256 * 1024;

class DenseRun {
 public:
  explicit DenseRun(const ConvRun& run)
      : run_(run), threads_(useful_threads(run)), layout_(run.packed.layout) {
    const Convolution& conv = run.packed.conv;
    const Extent one{1, 1, 1};
    const Extent zero{0, 0, 0};
    direct_ = conv.kernel == one && conv.stride == one && conv.padding == zero &&
        run.kernels.widen == nullptr;
    planes_ = direct_ ? 1 : run.input.batch * run.output_size[0];
    // The pixels of a convolution without a window are one row each.
    rows_ = direct_ ? run.input.batch * run.input.size[0] * run.input.size[1] * run.input.size[2]
                    : run.output_size[1];
  }

  void run() {
    if (planes_ * rows_ == 0) {
      return;
    }
    plan();
    const int64_t parts = planes_ * split_.row_parts * split_.block_parts;
    for_each_part(run_.parallel_for, threads_, parts, [&](int64_t begin, int64_t end) {
      run_parts(begin, end);
    });
  }

  std::string describe() {
    if (planes_ * rows_ == 0) {
      return "nothing to compute";
    }
    plan();
    std::string text = "blocks of 16 channels " + std::to_string(layout_.blocks);
    text += ", taps " + std::to_string(layout_.taps) + " x " + std::to_string(layout_.depth) +
        " bytes" + (layout_.folds_width ? " (columns folded)" : "");
    if (direct_) {
      text += ", activation read in place (1x1), " + std::to_string(split_.rows_per_part) +
          " pixels a part";
    } else {
      window().plan(run_, split_.rows_per_part);
      text += ", window of " + std::to_string(split_.rows_per_part) + " rows, " +
          std::to_string(window().elements() * element_bytes()) + " bytes";
      text += joins_rows(window()) ? ", rows joined to one run" : ", a run for every row";
    }
    const int64_t parts = planes_ * split_.row_parts * split_.block_parts;
    return text + ", " + parts_on_threads(threads_, parts);
  }

 private:
  void plan() {
    int64_t most_rows = rows_;
    if (!direct_) {
      window().plan(run_, 1);
      const int64_t one_row = window().elements() * element_bytes();
      window().plan(run_, std::min<int64_t>(rows_, 2));
      const int64_t another = window().elements() * element_bytes() - one_row;
      most_rows = std::clamp<int64_t>(
          (kLargestWindow - one_row) / std::max<int64_t>(another, 1) + 1, 1, rows_);
    }
    split_ =
        split_work(planes_, rows_, run_.packed.conv.groups * layout_.blocks, most_rows, threads_);
    // Pairs of blocks, as kernels take them. Of several groups, parts are whole ones.
    split_.blocks_per_part += split_.blocks_per_part % 2;
    if (run_.packed.conv.groups > 1) {
      const int64_t groups_per_part = ceil_divide(split_.blocks_per_part, layout_.blocks);
      split_.blocks_per_part = groups_per_part * layout_.blocks;
    }
    const int64_t all_blocks = run_.packed.conv.groups * layout_.blocks;
    split_.block_parts = ceil_divide(all_blocks, split_.blocks_per_part);
  }

  static ActivationWindow& window() {
    static thread_local ActivationWindow window;
    return window;
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
      const int64_t blocks =
          std::min(split_.blocks_per_part, run_.packed.conv.groups * layout_.blocks - first_block);
      const bool same_window = part != begin && block_part != 0;
      if (direct_) {
        run_direct(first_row, rows, first_block, blocks);
      } else {
        run_window(plane, first_row, rows, first_block, blocks, !same_window);
      }
    }
  }

  // Everything about the channels [first_block, first_block + blocks) of one group.
  DenseArguments channel_arguments(int64_t group, int64_t first_block, int64_t blocks) const {
    const Convolution& conv = run_.packed.conv;
    const int64_t first = first_block * kBlockColumns;
    const int64_t channel = group * conv.out_channels_per_group() + first;
    DenseArguments arguments;
    arguments.taps = layout_.taps;
    arguments.weight =
        run_.packed.weight + group * layout_.group_bytes() + first_block * layout_.block_bytes();
    arguments.block_stride = layout_.block_bytes();
    arguments.k_blocks = layout_.k_blocks;
    arguments.quads = layout_.quads;
    arguments.used_quads = layout_.used_quads();
    arguments.out_channels =
        std::min(blocks * kBlockColumns, conv.out_channels_per_group() - first);
    arguments.last_columns =
        first_block + blocks == layout_.blocks ? layout_.last_columns : kBlockColumns;
    arguments.requantization = run_.requantization;
    arguments.requantization.multiplier += channel;
    arguments.requantization.offset += channel;
    if (run_.weight_zero_points != nullptr) {
      arguments.weight_zero_points = run_.weight_zero_points + channel;
    }
    arguments.to_sums = run_.to_sums;
    return arguments;
  }

  // Output element (pixel, channel) of the whole tensor.
  void* output_at(int64_t pixel, int64_t channel) const {
    const int64_t element = pixel * run_.packed.conv.out_channels + channel;
    return static_cast<uint8_t*>(run_.output) +
        element * (run_.to_sums ? static_cast<int64_t>(sizeof(int32_t)) : 1);
  }

  // Calls use(group, first block in it, blocks) for the groups that a range of blocks is part of.
  template <typename Use>
  void for_each_group(int64_t first_block, int64_t blocks, const Use& use) const {
    while (blocks > 0) {
      const int64_t group = first_block / layout_.blocks;
      const int64_t in_group = first_block % layout_.blocks;
      const int64_t count = std::min(blocks, layout_.blocks - in_group);
      use(group, in_group, count);
      first_block += count;
      blocks -= count;
    }
  }

  void call_kernel(DenseArguments& arguments) const {
    if (arguments.weight_zero_points != nullptr) {
      auto* const sums = static_cast<int32_t*>(scratch(
          ScratchUse::kActivationSums, static_cast<size_t>(arguments.pixels) * sizeof(int32_t)));
      element_bytes() == 1 ? sum_activations<uint8_t>(arguments, sums)
                           : sum_activations<uint16_t>(arguments, sums);
      arguments.activation_sums = sums;
    }
    run_.kernels.dense(arguments);
  }

  // Sums what every pixel's weights are multiplied with, for weights with zero points. Of a tap
  // that holds several rows, those below the kernel don't count.
  template <typename Element>
  void sum_activations(const DenseArguments& arguments, int32_t* sums) const {
    const int64_t folded = layout_.folded_rows;
    const int64_t row_values = run_.packed.conv.in_channels_per_group();
    const int64_t chunk = folded == 1 ? layout_.depth : folded * row_values;
    const int64_t row_groups = (run_.packed.conv.kernel[1] + folded - 1) / folded;
    const int64_t last_rows = run_.packed.conv.kernel[1] - (row_groups - 1) * folded;
    const auto* pixel = static_cast<const Element*>(arguments.activation);
    for (int64_t p = 0; p < arguments.pixels; ++p, pixel += arguments.pixel_stride) {
      int32_t sum = 0;
      for (int64_t tap = 0; tap < arguments.taps; ++tap) {
        const bool cut = folded > 1 && tap % row_groups == row_groups - 1;
        const int64_t counted = cut ? last_rows * row_values : chunk;
        const Element* values = pixel + arguments.tap_offsets[tap];
        for (int64_t k = 0; k < layout_.depth; k += chunk, values += chunk) {
          for (int64_t i = 0; i < counted; ++i) {
            sum += values[i];
          }
        }
      }
      sums[p] = sum;
    }
  }

  // The activation as it is: pixels [first, first + pixels) of all images.
  void run_direct(int64_t first, int64_t pixels, int64_t first_block, int64_t blocks) const {
    static constexpr int64_t kNoOffset = 0;
    const int64_t in_channels = run_.packed.conv.in_channels;
    const int64_t read =
        kQuad * (run_.kernels.reads_padding ? layout_.quads_per_tap() : layout_.used_quads());
    for_each_group(first_block, blocks, [&](int64_t group, int64_t in_group, int64_t count) {
      DenseArguments arguments = channel_arguments(group, in_group, count);
      const int64_t group_offset = group * run_.packed.conv.in_channels_per_group();
      const int64_t channel =
          group * run_.packed.conv.out_channels_per_group() + in_group * kBlockColumns;
      arguments.tap_offsets = &kNoOffset;
      arguments.pixel_stride = in_channels;
      const auto run_pixels = [&](const uint8_t* activation, int64_t begin, int64_t end) {
        arguments.activation = activation;
        arguments.pixels = end - begin;
        arguments.output = {
            output_at(begin, channel), run_.packed.conv.out_channels, 0, arguments.pixels,
            arguments.pixels};
        call_kernel(arguments);
      };
      // A kernel may read beyond the channels of its group, but not beyond the tensor: the pixels
      // for which it would are copied, and with them what isn't a whole tile, so that no weights
      // are read for a few pixels only.
      const int64_t beyond = std::max<int64_t>(group_offset + read - in_channels, 0);
      const int64_t safe = rows_ - ceil_divide(beyond, in_channels);
      const int64_t end = first + pixels;
      constexpr int64_t kTilePixels = 32;
      const int64_t split = safe >= end
          ? end
          : first + std::max<int64_t>(safe - first, 0) / kTilePixels * kTilePixels;
      if (split > first) {
        run_pixels(run_.input.data + first * in_channels + group_offset, first, split);
      }
      if (split < end) {
        const int64_t bytes = (end - split) * in_channels;
        auto* const tail =
            static_cast<uint8_t*>(scratch(ScratchUse::kTail, static_cast<size_t>(bytes + beyond)));
        std::memcpy(tail, run_.input.data + split * in_channels, static_cast<size_t>(bytes));
        std::memset(tail + bytes, 0, static_cast<size_t>(beyond));
        run_pixels(tail + group_offset, split, end);
      }
    });
  }

  // One run over all rows where they lie at a constant distance, if the kernel likes long runs or
  // no pixel would be computed in vain.
  bool joins_rows(const ActivationWindow& window) const {
    return window.row_pitch() != 0 &&
        (run_.kernels.joins_rows || window.row_pitch() == run_.output_size[2]);
  }

  // Output rows [first_row, first_row + rows) of one output plane of one image.
  void run_window(
      int64_t plane, int64_t first_row, int64_t rows, int64_t first_block, int64_t blocks,
      bool copy) const {
    const int64_t batch = plane / run_.output_size[0];
    const int64_t output_plane = plane % run_.output_size[0];
    ActivationWindow& window = DenseRun::window();
    window.plan(run_, rows);
    void* const values =
        scratch(ScratchUse::kActivation, static_cast<size_t>(window.elements() * element_bytes()));
    if (copy && element_bytes() == 1) {
      window.copy(batch, output_plane, first_row, static_cast<uint8_t*>(values));
    } else if (copy) {
      window.copy(batch, output_plane, first_row, static_cast<uint16_t*>(values));
    }
    const int64_t width = run_.output_size[2];
    const int64_t out_channels = run_.packed.conv.out_channels;
    const int64_t first_pixel = (plane * rows_ + first_row) * width;
    // One run over all rows where they lie at a constant distance, if the kernel likes long runs or
    // no pixel would be computed in vain.
    const bool joined =
        window.row_pitch() != 0 && (run_.kernels.joins_rows || window.row_pitch() == width);
    for_each_group(first_block, blocks, [&](int64_t group, int64_t in_group, int64_t count) {
      DenseArguments arguments = channel_arguments(group, in_group, count);
      const int64_t channel =
          group * run_.packed.conv.out_channels_per_group() + in_group * kBlockColumns;
      arguments.tap_offsets = window.tap_offsets();
      arguments.pixel_stride = window.pixel_stride();
      for (int64_t row = 0; row < (joined ? 1 : rows); ++row) {
        const int64_t offset = window.group_offset(group) + row * window.row_stride();
        arguments.activation = static_cast<const uint8_t*>(values) + offset * element_bytes();
        arguments.pixels = joined ? (rows - 1) * window.row_pitch() + width : width;
        arguments.output = {
            output_at(first_pixel + row * width, channel), out_channels, width * out_channels,
            joined ? window.row_pitch() : width, width};
        call_kernel(arguments);
      }
    });
  }

  const ConvRun& run_;
  const int threads_;
  const Layout& layout_;
  bool direct_ = false;
  int64_t planes_ = 0;
  int64_t rows_ = 0;
  WorkSplit split_;
};

}  // namespace

void run_dense(const ConvRun& run) {
  // Activations of 7 bits, as reduce_range makes them, have kernels of their own on some sets.
  const KernelSet& kernels = run.kernels;
  const int64_t count = run.input.batch * run.input.size[0] * run.input.size[1] *
      run.input.size[2] * run.packed.conv.in_channels;
  if (kernels.dense_below_128 != nullptr && run.input.zero_point < 128 &&
      kernels.all_below_128(run.input.data, count)) {
    KernelSet narrow = kernels;
    narrow.dense = kernels.dense_below_128;
    narrow.widen = nullptr;
    const ConvRun narrow_run{
        run.packed,       run.input,          run.output_size,        narrow,
        run.parallel_for, run.requantization, run.weight_zero_points, run.output,
        run.to_sums};
    DenseRun(narrow_run).run();
  } else {
    DenseRun(run).run();
  }
}

std::string describe_dense(const ConvRun& run) {
  return DenseRun(run).describe();
}

}  // namespace qconv::native
