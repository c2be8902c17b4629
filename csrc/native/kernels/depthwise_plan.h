#pragma once

#include <cstdint>

namespace qconv::native {

// What a plan depends on.
struct DepthwiseShape {
  int64_t kernel_rows = 1;
  int64_t kernel_columns = 1;
  int64_t row_step = 1;  // see DepthwiseArguments
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t most_output_rows = 2;  // that a plan may compute together
  int64_t lane_values = 4;       // input values that one lane of a vector holds: 4 bytes or 2 words

  bool operator==(const DepthwiseShape&) const = default;
};

// How a depthwise convolution fills the lanes of a dot product instruction, which multiplies
// `lane_values` input values of a channel by as many weights and adds them up.
//
// A bundle is such a set of input values, at one column of the input (its position): values of
// several rows, or, where rows don't come out even, of several columns of one row or of two. A
// bundle is made once for each position and then used by all the kernel's columns and, with other
// weights, by two output rows: input rows 0..3 hold all that output rows 0 and 1 of a 3x3 kernel
// read, as weights (w0, w1, w2, 0) and (0, w0, w1, w2).
struct DepthwisePlan {
  struct Source {
    int64_t row = 0;     // of the input rows that the output rows read
    int64_t column = 0;  // kernel columns right of the bundle's position
  };
  struct Bundle {
    int64_t count = 0;  // of sources, at most lane_values
    Source sources[4];
    int64_t span = 1;  // kernel columns that it covers
  };
  // One dot product for one or both of the output rows.
  struct Tap {
    int64_t bundle = 0;
    int64_t column = 0;  // kernel column at the bundle's position
    // For each output row and source the kernel's tap (row * kernel_columns + column) whose weight
    // the source is multiplied by; -1: none.
    int64_t kernel_taps[2][4] = {{-1, -1, -1, -1}, {-1, -1, -1, -1}};
  };
  enum Users { kBoth, kFirst, kSecond, kUsers };

  DepthwiseShape shape;
  int64_t output_rows = 1;  // computed together: 1 or 2
  int64_t input_rows = 1;   // that they read
  const Bundle* bundles = nullptr;
  int64_t bundle_count = 0;
  const Tap* taps[kUsers] = {};  // by the output rows that use them
  int64_t tap_counts[kUsers] = {};
  const uint8_t* positions = nullptr;  // [position modulo stride][bundle]: whether any tap is there
};

// The cheapest plan. It belongs to the calling thread and is valid until its next call.
const DepthwisePlan& plan_depthwise(const DepthwiseShape& shape);

// At least `bytes` bytes of the calling thread, 64-byte aligned, valid until its next call.
uint8_t* depthwise_memory(int64_t bytes);

}  // namespace qconv::native
