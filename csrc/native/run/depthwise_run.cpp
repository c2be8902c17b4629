#include "native/run/depthwise_run.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "native/rounding.h"
#include "native/run/parts.h"
#include "native/run/scratch.h"
#include "native/run/thread_count.h"
#include "native/run/work_split.h"

namespace qconv::native {
namespace {

// Channels are given to threads by whole vectors of the widest kernels.
constexpr int64_t kBlockChannels = 64;
// Kernels pass over their rows once for every block of channels: a call's part of the input stays
// in the second-level cache.
constexpr int64_t kLargestInput = 256 * 1024;

class DepthwiseRun {
 public:
  explicit DepthwiseRun(const ConvRun& run) : run_(run), threads_(useful_threads(run)) {
    const Convolution& conv = run.packed.conv;
    channels_ = conv.out_channels;
    channel_stride_ = ceil_divide(channels_, kBlockColumns) * kBlockColumns;
    // Rows of output whose input rows coincide: of a convolution dilated by 2, all even ones and
    // all odd ones. They are computed by calls of their own, as a convolution that isn't dilated.
    const int64_t common = std::gcd(conv.stride[1], conv.dilation[1]);
    row_step_ = conv.stride[1] / common;
    row_classes_ = conv.dilation[1] / common;
    shares_rows_ = conv.kernel[0] == 1 && row_step_ < conv.kernel[1];
    if (!shares_rows_) {
      row_step_ = conv.kernel[0] * conv.kernel[1];
      row_classes_ = 1;
    }
  }

  void run() {
    for_each_part(run_.parallel_for, threads_, plan(), [&](int64_t begin, int64_t end) {
      run_parts(begin, end);
    });
  }

  std::string describe() {
    const int64_t parts = plan();
    return std::to_string(split_.rows_per_part) + " rows by " +
        std::to_string(std::min(channels_, split_.blocks_per_part * kBlockChannels)) +
        " channels a part, " + parts_on_threads(threads_, parts);
  }

 private:
  // Returns the number of parts; 0 where there is nothing to compute.
  int64_t plan() {
    const int64_t planes = run_.input.batch * run_.output_size[0];
    const int64_t rows = run_.output_size[1];
    if (planes * rows * run_.output_size[2] == 0) {
      return 0;
    }
    const int64_t blocks = ceil_divide(channels_, kBlockChannels);
    split_ = split_work(planes, rows, blocks, most_rows(), threads_);
    return planes * split_.row_parts * split_.block_parts;
  }

  int64_t most_rows() const {
    const Convolution& conv = run_.packed.conv;
    const int64_t rows = run_.output_size[1];
    if (channels_ <= kBlockChannels) {
      return rows;
    }
    const int64_t row_bytes = conv.kernel[0] * run_.input.size[2] * channels_;
    const int64_t input_rows = kLargestInput / row_bytes - conv.dilation[1] * (conv.kernel[1] - 1);
    // An even number, as kernels like to compute two rows at a time.
    return std::clamp<int64_t>(
        input_rows / conv.stride[1] / 2 * 2, std::min<int64_t>(rows, 8), rows);
  }

  void run_parts(int64_t begin, int64_t end) const {
    auto* const zero_point_pixel =
        static_cast<uint8_t*>(scratch(ScratchUse::kZeroPointPixel, static_cast<size_t>(channels_)));
    std::memset(zero_point_pixel, run_.input.zero_point, static_cast<size_t>(channels_));
    for (int64_t part = begin; part < end; ++part) {
      const int64_t block_part = part % split_.block_parts;
      const int64_t row_part = part / split_.block_parts % split_.row_parts;
      const int64_t plane = part / split_.block_parts / split_.row_parts;
      const int64_t first_row = row_part * split_.rows_per_part;
      const int64_t last_row = std::min(first_row + split_.rows_per_part, run_.output_size[1]);
      DepthwiseArguments arguments = channel_arguments(
          block_part * split_.blocks_per_part * kBlockChannels,
          split_.blocks_per_part * kBlockChannels);
      arguments.zero_point_pixel = zero_point_pixel;
      for (int64_t i = 0; i < std::min(row_classes_, last_row - first_row); ++i) {
        run_rows(arguments, plane, first_row + i, last_row);
      }
    }
  }

  // Everything about up to `count` channels from `first` on.
  DepthwiseArguments channel_arguments(int64_t first, int64_t count) const {
    const Convolution& conv = run_.packed.conv;
    DepthwiseArguments arguments;
    arguments.row_step = row_step_;
    arguments.kernel_rows = conv.kernel[0] * conv.kernel[1];
    arguments.kernel_columns = conv.kernel[2];
    arguments.stride = conv.stride[2];
    arguments.padding = conv.padding[2];
    arguments.dilation = conv.dilation[2];
    arguments.input_columns = run_.input.size[2];
    arguments.output_columns = run_.output_size[2];
    arguments.input_pixel_stride = channels_;
    arguments.channels = std::min(count, channels_ - first);
    arguments.weight = run_.packed.weight + first;
    arguments.tap_stride = channel_stride_;
    if (run_.weight_zero_points != nullptr) {
      arguments.weight_zero_points = run_.weight_zero_points + first;
    }
    arguments.requantization = run_.requantization;
    if (!run_.to_sums) {
      arguments.requantization.multiplier += first;
      arguments.requantization.offset += first;
    }
    arguments.output = static_cast<uint8_t*>(run_.output) + first * element_bytes();
    arguments.output_pixel_stride = channels_;
    arguments.output_row_stride = row_classes_ * run_.output_size[2] * channels_;
    arguments.to_sums = run_.to_sums;
    return arguments;
  }

  // Every row_classes_th output row of one output plane from first_row on.
  void run_rows(
      DepthwiseArguments arguments, int64_t plane, int64_t first_row, int64_t last_row) const {
    const Convolution& conv = run_.packed.conv;
    arguments.output_rows = ceil_divide(last_row - first_row, row_classes_);
    const int64_t count = (arguments.output_rows - 1) * row_step_ + arguments.kernel_rows;
    auto* const rows = static_cast<const uint8_t**>(
        scratch(ScratchUse::kRows, static_cast<size_t>(count) * sizeof(const uint8_t*)));
    const int64_t batch = plane / run_.output_size[0];
    const int64_t first_depth = plane % run_.output_size[0] * conv.stride[0] - conv.padding[0];
    if (shares_rows_) {
      const int64_t first = first_row * conv.stride[1] - conv.padding[1];
      for (int64_t i = 0; i < count; ++i) {
        rows[i] = input_row(batch, first_depth, first + i * conv.dilation[1], arguments);
      }
    } else {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t output_row = first_row + i / arguments.kernel_rows;
        const int64_t kernel_depth = i % arguments.kernel_rows / conv.kernel[1];
        rows[i] = input_row(
            batch, first_depth + kernel_depth * conv.dilation[0],
            output_row * conv.stride[1] - conv.padding[1] + i % conv.kernel[1] * conv.dilation[1],
            arguments);
      }
    }
    arguments.rows = rows;
    const int64_t pixel = (plane * run_.output_size[1] + first_row) * run_.output_size[2];
    arguments.output =
        static_cast<uint8_t*>(arguments.output) + pixel * channels_ * element_bytes();
    run_.kernels.depthwise(arguments);
  }

  // Column 0 of a row of the input, the first channel of a call; nullptr in the padding.
  const uint8_t* input_row(
      int64_t batch, int64_t depth, int64_t row, const DepthwiseArguments& arguments) const {
    const Extent& size = run_.input.size;
    if (depth < 0 || depth >= size[0] || row < 0 || row >= size[1]) {
      return nullptr;
    }
    return run_.input.data + ((batch * size[0] + depth) * size[1] + row) * size[2] * channels_ +
        (arguments.weight - run_.packed.weight);
  }

  int64_t element_bytes() const { return run_.to_sums ? sizeof(int32_t) : 1; }

  const ConvRun& run_;
  const int threads_;
  int64_t channels_ = 0;
  int64_t channel_stride_ = 0;
  int64_t row_step_ = 1;
  int64_t row_classes_ = 1;
  bool shares_rows_ = true;
  WorkSplit split_;
};

}  // namespace

void run_depthwise(const ConvRun& run) {
  DepthwiseRun(run).run();
}

std::string describe_depthwise(const ConvRun& run) {
  return DepthwiseRun(run).describe();
}

}  // namespace qconv::native
