#pragma once

#include <cstdint>

#include "native/run/run.h"

namespace qconv::native {

// What dynamic convolutions do to a float32 activation first.

struct Range {
  float smallest = 0;
  float largest = 0;
  bool has_nan = false;  // the others are then of the numbers beside them
};

// The range of `count` numbers; 0 to 0 of none.
Range find_range(const float* values, int64_t count, const ParallelFor& parallel_for);

// A float32 activation [batch, channels, pixels], dense, in one of two orders.
struct FloatActivation {
  const float* data = nullptr;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t pixels = 0;
  bool channels_last = false;  // [batch, pixels, channels]
};

// q = clamp(round_half_to_even(fma(value, 1 / scale, zero_point)), 0, 255), all in float32: what
// PyTorch's quantize_per_tensor gives on x86-64 machines with FMA. In the order
// [batch, pixels, channels].
void quantize(
    const FloatActivation& activation, double scale, int32_t zero_point, uint8_t* quantized,
    const ParallelFor& parallel_for);

}  // namespace qconv::native
