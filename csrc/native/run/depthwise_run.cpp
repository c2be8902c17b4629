#include "native/run/depthwise_run.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <string>

#include "native/rounding.h"
#include "native/run/parts.h"
#include "native/run/scratch.h"
#include "native/run/sums_pass.h"
#include "native/run/thread_count.h"
#include "native/run/unreached_fill.h"
#include "native/run/work_split.h"

namespace qconv::native {
namespace {

// Channels are given to threads by whole vectors of the widest kernels.
constexpr int64_t kBlockChannels = 64;
// Kernels pass over their rows once for every block of channels: a call's part of the input stays
// in the second-level cache.
constexpr int64_t kLargestInput = 256 * 1024;
// Kernels like to compute so many rows at a time.
constexpr int64_t kRowsTogether = 2;
// Of a single row: channels of the smallest pieces, and columns that each must have.
constexpr int64_t kPieceChannels = 16;
constexpr int64_t kFewestColumns = 16;

// Rows of output whose input rows coincide: of a convolution dilated by 2, all even ones and all
// odd ones. They are computed by calls of their own, as a convolution that isn't dilated.
struct RowSharing {
  int64_t row_step = 1;  // of DepthwiseArguments
  int64_t classes = 1;
  bool shares = true;

  explicit RowSharing(const Convolution& conv) {
    const int64_t common = std::gcd(conv.stride[1], conv.dilation[1]);
    row_step = conv.stride[1] / common;
    classes = conv.dilation[1] / common;
    shares = conv.kernel[0] == 1 && row_step < conv.kernel[1];
    if (!shares) {
      row_step = conv.kernel[0] * conv.kernel[1];
      classes = 1;
    }
  }
};

class DepthwiseRun {
 public:
  explicit DepthwiseRun(const ConvRun& run)
      : run_(run), threads_(useful_threads(run)), channels_(run.packed.conv.out_channels) {}

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
    const int64_t columns = split_.columns_per_part;
    return (run_.packed.conv.transposed ? "phases " + std::to_string(run_.phases.count()) + ", "
                                        : "") +
        std::to_string(split_.rows_per_part) + " rows by " +
        (columns < split_.work.columns ? std::to_string(columns) + " columns by " : "") +
        std::to_string(std::min(channels_, split_.blocks_per_part * kBlockChannels)) +
        " channels a part, " + parts_on_threads(threads_, split_.parts());
  }

 private:
  // Returns whether there is anything to compute.
  bool plan() {
    const Extent& positions = run_.phases.positions();
    Work work;
    work.planes = run_.input.batch * positions[0];
    work.rows = positions[1];
    work.columns = positions[2];
    work.blocks = ceil_divide(channels_, kBlockChannels);
    if (work.planes * work.rows * work.columns == 0) {
      return false;
    }
    work.most_rows = most_rows();
    work.most_columns = work.columns;
    work.row_multiple = kRowsTogether;
    work.microseconds = run_microseconds(run_);
    // The first rows of a part cost as much again: their input isn't in registers and caches yet.
    const Convolution conv = run_.phases.at(0).phase.conv;
    work.overlap = (conv.kernel[1] - 1) * conv.dilation[1] / conv.stride[1];
    work.row_microseconds = work.microseconds / static_cast<double>(work.planes * work.rows);
    split_ = split_work(work, threads_);
    return true;
  }

  int64_t most_rows() const {
    const Convolution conv = run_.phases.at(0).phase.conv;
    const int64_t rows = run_.phases.positions()[1];
    if (channels_ <= kBlockChannels && run_.phases.count() == 1) {
      return rows;
    }
    const int64_t row_bytes = conv.kernel[0] * run_.input.size[2] * channels_;
    const int64_t input_rows = kLargestInput / row_bytes - conv.dilation[1] * (conv.kernel[1] - 1);
    return std::clamp<int64_t>(
        input_rows / conv.stride[1] / kRowsTogether * kRowsTogether, std::min<int64_t>(rows, 8),
        rows);
  }

  void run_parts(PartTaker& taker) const {
    auto* const zero_point_pixel =
        static_cast<uint8_t*>(scratch(ScratchUse::kZeroPointPixel, static_cast<size_t>(channels_)));
    std::memset(
        zero_point_pixel, run_.input_zero_point() ^ run_.input_flip(),
        static_cast<size_t>(channels_));
    const int64_t planes = run_.phases.positions()[0];
    while (const std::optional<int64_t> number = taker.next()) {
      const WorkPart work = split_.part(*number);
      for (int64_t phase_number = 0; phase_number < run_.phases.count(); ++phase_number) {
        const RunPhase phase = run_.phases.at(phase_number);
        const PhasePart part =
            run_.phases.part(phase, work.plane / planes, work.plane % planes, work.area);
        const int64_t channels = split_.blocks_per_part * kBlockChannels;
        const int64_t first_channel = work.first_block * kBlockChannels;
        const int64_t last_channel =
            part.rows > 0 ? std::min(first_channel + channels, channels_) : first_channel;
        const int64_t step =
            run_.plan.store == Store::kSums ? depthwise_pass_channels(run_) : channels;
        for (int64_t channel = first_channel; channel < last_channel; channel += step) {
          DepthwiseArguments arguments =
              channel_arguments(phase.phase, channel, std::min(step, last_channel - channel));
          arguments.zero_point_pixel = zero_point_pixel;
          run_part(phase.phase, part, work.plane / planes, arguments);
        }
      }
    }
  }

  // Everything about up to `count` channels from `first` on.
  DepthwiseArguments channel_arguments(const Phase& phase, int64_t first, int64_t count) const {
    DepthwiseArguments arguments;
    arguments.kernel_rows = phase.conv.kernel[0] * phase.conv.kernel[1];
    arguments.kernel_columns = phase.conv.kernel[2];
    arguments.stride = phase.conv.stride[2];
    arguments.dilation = phase.conv.dilation[2];
    arguments.input_columns = run_.input.size[2];
    arguments.input_pixel_stride = channels_;
    arguments.input_flip = run_.input_flip();
    arguments.channels = std::min(count, channels_ - first);
    arguments.weight = run_.packed.weight + phase.weight_offset + first;
    arguments.tap_stride = round_up(channels_, kBlockColumns);
    if (run_.plan.weight_zero_points != nullptr) {
      arguments.weight_zero_points = run_.plan.weight_zero_points + first;
    }
    arguments.store = run_.plan.store;
    if (arguments.store != Store::kSums) {
      arguments.requantization = run_.plan.requantization_from(phase.index, first);
    }
    return arguments;
  }

  // The outputs of a phase's part, which are in an image; the arguments name the channels.
  void run_part(
      const Phase& phase, const PhasePart& part, int64_t batch,
      const DepthwiseArguments& channels) const {
    const RowSharing sharing(phase.conv);
    const int64_t first_channel = channels.weight - run_.packed.weight - phase.weight_offset;
    DepthwiseArguments arguments = channels;
    arguments.padding = -part.first_input[2];
    arguments.row_step = sharing.row_step;
    arguments.output_columns = part.columns;
    arguments.output_pixel_stride = part.pixel_step * channels_;
    arguments.output_row_stride = sharing.classes * part.row_step * channels_;
    for (int64_t first = 0; first < std::min(sharing.classes, part.rows); ++first) {
      arguments.output_rows = ceil_divide(part.rows - first, sharing.classes);
      arguments.rows = input_rows(
          phase.conv, sharing, arguments.output_rows, batch, part.first_input[0],
          part.first_input[1] + first * phase.conv.stride[1], first_channel);
      arguments.output = run_.output_at(part.first_pixel + first * part.row_step, first_channel);
      if (arguments.output_rows > 1 || !run_pieces(phase.index, arguments)) {
        call_kernel(phase.index, arguments);
      }
    }
  }

  void call_kernel(int64_t phase, const DepthwiseArguments& arguments) const {
    if (arguments.store == Store::kSums) {
      run_depthwise_pass(run_, phase, arguments);
    } else {
      run_.kernels.depthwise(arguments);
    }
  }

  // Kernels fill their vectors with several rows where there are few channels. Of a single row, as
  // in one dimension, pieces take their place: of those columns that read no padding. Returns
  // whether there are enough of them.
  bool run_pieces(int64_t phase, const DepthwiseArguments& row) const {
    const int64_t pieces =
        std::max<int64_t>(kBlockChannels / round_up(row.channels, kPieceChannels), 1);
    const int64_t reach = (row.kernel_columns - 1) * row.dilation;
    const int64_t first = ceil_divide(std::max<int64_t>(row.padding, 0), row.stride);
    const int64_t inside = row.input_columns - reach - 1 + row.padding;
    const int64_t end = std::min(inside < 0 ? 0 : inside / row.stride + 1, row.output_columns);
    const int64_t columns = (end - first) / pieces;
    if (pieces < 2 || columns < kFewestColumns) {
      return false;
    }
    DepthwiseArguments some = columns_from(row, first);
    const auto** const rows = static_cast<const uint8_t**>(scratch(
        ScratchUse::kPieceRows,
        static_cast<size_t>(pieces * row.kernel_rows) * sizeof(const uint8_t*)));
    for (int64_t i = 0; i < pieces * row.kernel_rows; ++i) {
      const uint8_t* const start = row.rows[i % row.kernel_rows];
      const int64_t column = i / row.kernel_rows * columns * row.stride - some.padding;
      rows[i] = start == nullptr ? nullptr : start + column * row.input_pixel_stride;
    }
    some.rows = rows;
    some.row_step = row.kernel_rows;
    some.padding = 0;
    some.input_columns = (columns - 1) * row.stride + reach + 1;
    some.output_rows = pieces;
    some.output_columns = columns;
    some.output_row_stride = columns * row.output_pixel_stride;
    call_kernel(phase, some);
    some = row;
    some.output_columns = first;
    if (first > 0) {
      call_kernel(phase, some);
    }
    some = columns_from(row, first + pieces * columns);
    if (some.output_columns > 0) {
      call_kernel(phase, some);
    }
    return true;
  }

  // The outputs from a column on.
  DepthwiseArguments columns_from(const DepthwiseArguments& row, int64_t first) const {
    DepthwiseArguments some = row;
    some.padding -= first * row.stride;
    some.output_columns -= first;
    some.output = static_cast<uint8_t*>(row.output) +
        first * row.output_pixel_stride * run_.plan.output_bytes();
    return some;
  }

  // What DepthwiseArguments::rows points at, for output rows of one class, the first of which reads
  // from input row first_row on.
  const uint8_t* const* input_rows(
      const Convolution& conv, const RowSharing& sharing, int64_t output_rows, int64_t batch,
      int64_t first_depth, int64_t first_row, int64_t channel) const {
    const int64_t kernel_rows = conv.kernel[0] * conv.kernel[1];
    const int64_t count = (output_rows - 1) * sharing.row_step + kernel_rows;
    auto* const rows = static_cast<const uint8_t**>(
        scratch(ScratchUse::kRows, static_cast<size_t>(count) * sizeof(const uint8_t*)));
    for (int64_t i = 0; i < count; ++i) {
      int64_t depth = first_depth;
      int64_t row = first_row + i * conv.dilation[1];
      if (!sharing.shares) {
        depth += i % kernel_rows / conv.kernel[1] * conv.dilation[0];
        row = first_row + i / kernel_rows * conv.stride[1] + i % conv.kernel[1] * conv.dilation[1];
      }
      rows[i] = input_row(batch, depth, row, channel);
    }
    return rows;
  }

  // Column 0 of a row of the input, a call's first channel; nullptr in the padding.
  const uint8_t* input_row(int64_t batch, int64_t depth, int64_t row, int64_t channel) const {
    const Extent& size = run_.input.size;
    if (depth < 0 || depth >= size[0] || row < 0 || row >= size[1]) {
      return nullptr;
    }
    return run_.input_bytes() + ((batch * size[0] + depth) * size[1] + row) * size[2] * channels_ +
        channel;
  }

  const ConvRun& run_;
  const int threads_;
  const int64_t channels_;
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
