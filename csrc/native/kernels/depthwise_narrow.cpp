#include "native/kernels/depthwise_narrow.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace qconv::native {
namespace {

// Output rows at a time, so that the copies stay small.
constexpr int64_t kRows = 16;

// Without zeros in what was there already.
template <typename Value>
void grow(std::vector<Value>& values, int64_t count) {
  if (static_cast<int64_t>(values.size()) < count) {
    values.resize(static_cast<size_t>(count));
  }
}

// Copies `bytes` of each pixel. A vector of 16 is moved at once where it stays among the bytes of
// the pixels on either side, and what it takes too many doesn't matter: `to` has room for it
// between pixels, or the next pixel is written over it.
void copy_pixels(
    const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride, int64_t pixels,
    int64_t bytes, bool to_has_room) {
  const auto vectors_along = [&](int64_t stride) {
    const int64_t all = (pixels - 1) * stride + bytes;
    return all < kNarrowChannels ? 0 : (all - kNarrowChannels) / stride + 1;
  };
  int64_t i = 0;
  if (bytes <= kNarrowChannels && (to_has_room || to_stride == bytes)) {
    const int64_t vectors = std::min(vectors_along(from_stride), vectors_along(to_stride));
    for (; i < vectors; ++i) {
      std::memcpy(to + i * to_stride, from + i * from_stride, kNarrowChannels);
    }
  }
  for (; i < pixels; ++i) {
    std::memcpy(to + i * to_stride, from + i * from_stride, static_cast<size_t>(bytes));
  }
}

}  // namespace

void depthwise_narrow(const DepthwiseArguments& arguments, DepthwiseKernel kernel) {
  thread_local std::vector<uint8_t> memory;
  thread_local std::vector<const uint8_t*> rows;
  const int64_t element = element_bytes(arguments.store);
  const int64_t most_rows = std::min(kRows, arguments.output_rows);
  const int64_t row_bytes = arguments.input_columns * kNarrowChannels;
  const int64_t output_row_bytes = arguments.output_columns * kNarrowChannels * element;
  const int64_t most_input_rows = (most_rows - 1) * arguments.row_step + arguments.kernel_rows;
  grow(memory, kNarrowChannels + most_input_rows * row_bytes + most_rows * output_row_bytes);
  grow(rows, most_input_rows);
  uint8_t* const zeros = memory.data();
  uint8_t* const input = zeros + kNarrowChannels;
  uint8_t* const output = input + most_input_rows * row_bytes;

  DepthwiseArguments narrow = arguments;
  narrow.channels = kNarrowChannels;
  narrow.rows = rows.data();
  narrow.input_pixel_stride = kNarrowChannels;
  narrow.zero_point_pixel = zeros;
  narrow.output = output;
  narrow.output_pixel_stride = kNarrowChannels;
  narrow.output_row_stride = arguments.output_columns * kNarrowChannels;
  std::memcpy(zeros, arguments.zero_point_pixel, static_cast<size_t>(arguments.channels));
  for (int64_t first = 0; first < arguments.output_rows; first += kRows) {
    narrow.output_rows = std::min(kRows, arguments.output_rows - first);
    const int64_t input_rows =
        (narrow.output_rows - 1) * arguments.row_step + arguments.kernel_rows;
    for (int64_t i = 0; i < input_rows; ++i) {
      const uint8_t* const from = arguments.rows[first * arguments.row_step + i];
      uint8_t* const to = input + i * row_bytes;
      rows[static_cast<size_t>(i)] = from == nullptr ? nullptr : to;
      if (from != nullptr) {
        copy_pixels(
            from, arguments.input_pixel_stride, to, kNarrowChannels, arguments.input_columns,
            arguments.channels, true);
      }
    }
    kernel(narrow);
    for (int64_t i = 0; i < narrow.output_rows; ++i) {
      copy_pixels(
          output + i * output_row_bytes, kNarrowChannels * element,
          static_cast<uint8_t*>(arguments.output) +
              (first + i) * arguments.output_row_stride * element,
          arguments.output_pixel_stride * element, arguments.output_columns,
          arguments.channels * element, false);
    }
  }
}

}  // namespace qconv::native
