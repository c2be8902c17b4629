#include "native/kernels/depthwise_narrow.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace qconv::native {
namespace {

// Output rows at a time, so that the copies stay small.
constexpr int64_t kRows = 16;

void copy_pixels(
    const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride, int64_t pixels,
    int64_t bytes) {
  for (int64_t i = 0; i < pixels; ++i) {
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
  memory.resize(
      static_cast<size_t>(
          kNarrowChannels + most_input_rows * row_bytes + most_rows * output_row_bytes));
  rows.resize(static_cast<size_t>(most_input_rows));
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
  copy_pixels(arguments.zero_point_pixel, 0, zeros, 0, 1, arguments.channels);
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
            arguments.channels);
      }
    }
    kernel(narrow);
    for (int64_t i = 0; i < narrow.output_rows; ++i) {
      copy_pixels(
          output + i * output_row_bytes, kNarrowChannels * element,
          static_cast<uint8_t*>(arguments.output) +
              (first + i) * arguments.output_row_stride * element,
          arguments.output_pixel_stride * element, arguments.output_columns,
          arguments.channels * element);
    }
  }
}

}  // namespace qconv::native
