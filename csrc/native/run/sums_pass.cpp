#include "native/run/sums_pass.h"

#include <algorithm>

#include "native/format/layout.h"
#include "native/rounding.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

// Sums of a part: 64 KB, of the second-level cache.
constexpr int64_t kMostSums = 16384;
// Pixels of a part of a dense run, if there are as many: enough for the weights that they pass.
constexpr int64_t kFewestPixels = 64;
// Tables of the pass should have so many channels.
constexpr int64_t kFewestChannels = 128;
constexpr int64_t kDepthwiseBlock = 64;  // channels

int32_t* sums_memory(int64_t count) {
  return static_cast<int32_t*>(
      scratch(ScratchUse::kSums, static_cast<size_t>(count) * sizeof(int32_t)));
}

// Sums of `rows` x `columns` pixels, [row][column][channel], and their place in the output.
struct Part {
  int64_t table = 0;
  const int32_t* sums = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t channels = 0;
  int64_t element = 0;  // of the output: pixel 0, channel 0
  int64_t pixel_stride = 0;
  int64_t row_stride = 0;
};

// Factors of a few channels several times over.
template <typename Number>
const Number* repeated(const Number* table, int64_t channels, int64_t repeats, Number*& memory) {
  if (table == nullptr) {
    return nullptr;
  }
  const Number* const start = memory;
  for (int64_t i = 0; i < repeats; ++i) {
    memory = std::copy_n(table, channels, memory);
  }
  return start;
}

void repeat_factors(PointwiseArguments& pass) {
  const int64_t repeats = ceil_divide(kFewestChannels, pass.channels);
  if (repeats == 1) {
    return;
  }
  auto* doubles = static_cast<double*>(scratch(
      ScratchUse::kRepeatedFactors,
      static_cast<size_t>(3 * repeats * pass.channels) * sizeof(double)));
  auto* floats = reinterpret_cast<float*>(doubles);
  pass.multiplier = repeated(pass.multiplier, pass.channels, repeats, floats);
  pass.offset = repeated(pass.offset, pass.channels, repeats, floats);
  pass.zero_point_sum = repeated(pass.zero_point_sum, pass.channels, repeats, doubles);
  pass.scale = repeated(pass.scale, pass.channels, repeats, doubles);
  pass.bias = repeated(pass.bias, pass.channels, repeats, doubles);
  pass.channels *= repeats;
}

// The pass over the sums of a part.
void finish(const ConvRun& run, const Part& part) {
  const OutputPlan& plan = run.plan;
  PointwiseArguments pass = plan.pass;
  const int64_t first_factor =
      part.table * plan.table_stride + part.element % run.packed.conv.out_channels;
  if (pass.multiplier != nullptr) {
    pass.multiplier += first_factor;
    pass.offset += first_factor;
  } else {
    pass.zero_point_sum += first_factor;
    pass.scale += first_factor;
    pass.bias += first_factor;
  }
  pass.channels = part.channels;
  repeat_factors(pass);
  // Pixels that touch are one row.
  const bool touching = part.pixel_stride == part.channels;
  const bool whole = part.rows == 1 || part.row_stride == part.columns * part.pixel_stride;
  pass.row_elements = touching ? part.columns * part.channels : part.channels;
  pass.output_row_stride = touching ? part.row_stride : part.pixel_stride;
  pass.addend_row_stride = pass.output_row_stride;
  const int64_t calls = touching || whole ? 1 : part.rows;
  pass.count = part.rows / calls * part.columns * part.channels;
  for (int64_t call = 0; call < calls; ++call) {
    const int64_t element = part.element + call * part.row_stride;
    pass.sums = part.sums + call * pass.count;
    pass.output.data = static_cast<uint8_t*>(plan.output.data) + element * plan.output_bytes();
    if (plan.addend.data != nullptr) {
      pass.epilogue.addend.data =
          static_cast<const uint8_t*>(plan.addend.data) + element * element_bytes(plan.addend.type);
    }
    run.kernels.pointwise(pass);
  }
}

// Pixels [begin, end) of a run, whole rows of its output or columns of one row, and output channels
// [first, first + count).
void run_part(
    const ConvRun& run, int64_t table, const DenseArguments& whole, int64_t begin, int64_t end,
    int64_t first, int64_t count) {
  const OutputPlace& place = whole.output;
  const int64_t row = begin / place.row_pitch;
  const int64_t column = begin % place.row_pitch;
  Part part;
  part.table = table;
  part.rows = (end - 1) / place.row_pitch - row + 1;
  part.columns = part.rows == 1 ? end - begin : place.row_width;
  part.channels = count;
  part.element = run.plan.element_at(place.data) + row * place.row_stride +
      column * place.pixel_stride + first;
  part.pixel_stride = place.pixel_stride;
  part.row_stride = place.row_stride;
  int32_t* const sums = sums_memory(part.rows * part.columns * count);
  part.sums = sums;

  DenseArguments arguments = whole;
  const int64_t activation_bytes = run.kernels.widen == nullptr ? 1 : 2;
  arguments.activation =
      static_cast<const uint8_t*>(whole.activation) + begin * whole.pixel_stride * activation_bytes;
  arguments.pixels = end - begin;
  arguments.weight += first / kBlockColumns * whole.block_stride;
  if (whole.group_outputs != 0) {
    arguments.activation = static_cast<const uint8_t*>(arguments.activation) +
        first / whole.group_outputs * whole.group_inputs * activation_bytes;
  }
  arguments.out_channels = count;
  if (first + count < whole.out_channels) {
    arguments.last_columns = kBlockColumns;
  }
  if (whole.weight_zero_points != nullptr) {
    arguments.weight_zero_points += first;
    arguments.activation_sums += whole.activation_sums == nullptr ? 0 : begin;
  }
  if (whole.first_sums != nullptr) {
    arguments.first_sums += first;
  }
  const int64_t pitch = part.rows == 1 ? part.columns : place.row_pitch;
  arguments.output = {sums, count, part.columns * count, pitch, part.columns};
  run.kernels.dense(arguments);
  finish(run, part);
}

}  // namespace

void run_dense_pass(const ConvRun& run, int64_t table, const DenseArguments& arguments) {
  const OutputPlace& place = arguments.output;
  const int64_t rows = ceil_divide(arguments.pixels, place.row_pitch);
  const int64_t columns = std::min(place.row_width, arguments.pixels);
  // Channels are cut in pairs of blocks, where otherwise too few pixels would fit.
  constexpr int64_t kPair = 2 * kBlockColumns;
  const int64_t fewest_pixels = std::min(kFewestPixels, rows * columns);
  const int64_t most_channels = std::max(kPair, kMostSums / fewest_pixels / kPair * kPair);
  const int64_t cuts = ceil_divide(arguments.out_channels, most_channels);
  const int64_t channels = cuts == 1 ? arguments.out_channels
                                     : round_up(ceil_divide(arguments.out_channels, cuts), kPair);
  const int64_t most_pixels = kMostSums / channels;
  for (int64_t first = 0; first < arguments.out_channels; first += channels) {
    const int64_t count = std::min(channels, arguments.out_channels - first);
    if (columns <= most_pixels) {
      const int64_t step = most_pixels / columns;
      for (int64_t row = 0; row < rows; row += step) {
        const int64_t last = std::min(row + step, rows) - 1;
        const int64_t end = std::min(last * place.row_pitch + columns, arguments.pixels);
        run_part(run, table, arguments, row * place.row_pitch, end, first, count);
      }
      continue;
    }
    constexpr int64_t kTilePixels = 32;
    const int64_t step =
        most_pixels > kTilePixels ? most_pixels / kTilePixels * kTilePixels : most_pixels;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; column += step) {
        const int64_t begin = row * place.row_pitch + column;
        run_part(
            run, table, arguments, begin, begin + std::min(step, columns - column), first, count);
      }
    }
  }
}

int64_t depthwise_pass_channels(const ConvRun& run) {
  // Two rows, as kernels like to compute them.
  return std::max(
      kDepthwiseBlock, kMostSums / (2 * run.output_size[2]) / kDepthwiseBlock * kDepthwiseBlock);
}

void run_depthwise_pass(const ConvRun& run, int64_t table, const DepthwiseArguments& arguments) {
  const int64_t channels = arguments.channels;
  const int64_t most_columns = std::max<int64_t>(kMostSums / channels, 1);
  const int64_t column_step = std::min(most_columns, arguments.output_columns);
  int64_t row_step = std::max<int64_t>(most_columns / column_step, 1);
  row_step -= row_step > 1 ? row_step % 2 : 0;
  for (int64_t row = 0; row < arguments.output_rows; row += row_step) {
    for (int64_t column = 0; column < arguments.output_columns; column += column_step) {
      Part part;
      part.table = table;
      part.rows = std::min(row_step, arguments.output_rows - row);
      part.columns = std::min(column_step, arguments.output_columns - column);
      part.channels = channels;
      part.element = run.plan.element_at(arguments.output) + row * arguments.output_row_stride +
          column * arguments.output_pixel_stride;
      part.pixel_stride = arguments.output_pixel_stride;
      part.row_stride = arguments.output_row_stride;
      int32_t* const sums = sums_memory(part.rows * part.columns * channels);
      part.sums = sums;
      DepthwiseArguments some = arguments;
      some.rows += row * arguments.row_step;
      some.output_rows = part.rows;
      some.output_columns = part.columns;
      some.padding -= column * arguments.stride;
      some.output = sums;
      some.output_pixel_stride = channels;
      some.output_row_stride = part.columns * channels;
      run.kernels.depthwise(some);
      finish(run, part);
    }
  }
}

}  // namespace qconv::native
