#pragma once

#include <cstdint>

#include "native/kernels/store.h"

namespace qconv::native {

// One block of output rows of a depthwise convolution (one input and one output channel per group).
//
//   sum[x][c] = sum over taps (d, h, w) of
//               pixel(d, h, x * stride_w - padding_w + w * dilation_w)[c] * weight[tap][c]
//               - weight_zero_points[c] * (sum over taps of that pixel[c])
//
// where a pixel left or right of the row is zero_point_pixel, and all bytes of pixels are combined
// with input_flip by exclusive or. Rows are pointers, so that nothing is
// copied for padding.
struct DepthwiseArguments {
  // For each output row r and each kernel row t (depth and height flattened, kernel_rows of them):
  // rows[r * row_step + t] points at column 0, channel 0 of an input row, or is nullptr where the
  // row lies in the padding. Neighbouring output rows share entries where row_step < kernel_rows
  // (kernel height only, dilation 1): kernels may use that.
  const uint8_t* const* rows = nullptr;
  int64_t output_rows = 0;
  int64_t row_step = 0;
  int64_t kernel_rows = 0;
  int64_t kernel_columns = 0;
  int64_t stride = 1;    // of columns
  int64_t padding = 0;   // columns left of the input; below 0: columns of it that are left out
  int64_t dilation = 1;  // of columns
  int64_t input_columns = 0;
  int64_t output_columns = 0;
  int64_t input_pixel_stride = 0;             // bytes between columns
  const uint8_t* zero_point_pixel = nullptr;  // `channels` bytes of the input's zero point
  uint8_t input_flip = 0;                     // 0x80 for an int8 input, else 0

  int64_t channels = 0;                         // of this call
  const int8_t* weight = nullptr;               // [tap][...]: channel 0 of this call of tap 0;
                                                // 64 bytes after the last weight can be read
  int64_t tap_stride = 0;                       // bytes between taps
  const int32_t* weight_zero_points = nullptr;  // per channel, or null; readable as multiplier is

  Store store = Store::kBytes;      // not kBytesAdded
  Requantization requantization;    // not for Store::kSums
  void* output = nullptr;           // bytes, or int32 for Store::kSums
  int64_t output_pixel_stride = 0;  // elements
  int64_t output_row_stride = 0;    // elements
};

using DepthwiseKernel = void (*)(const DepthwiseArguments& arguments);

}  // namespace qconv::native
