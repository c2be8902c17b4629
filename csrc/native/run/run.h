#pragma once

#include <cstdint>
#include <string>

#include "native/format/packed_view.h"

namespace qconv::native {

// Calls body(context, begin, end) on ranges that cover [0, count), from several threads if it
// likes.
struct ParallelFor {
  using Body = void (*)(void* context, int64_t begin, int64_t end);
  void (*run)(int64_t count, Body body, void* context) = nullptr;  // null: the calling thread
  int threads = 1;
};

// A uint8 activation in memory order [batch, depth, height, width, channels];
// real = (q - zero_point) * scale.
struct RunInput {
  const uint8_t* data = nullptr;
  int64_t batch = 0;
  Extent size{1, 1, 1};
  double scale = 1;
  int32_t zero_point = 0;
};

// q = clamp(round(real / scale) + zero_point, low, high): relu is low = zero_point.
struct RunOutput {
  uint8_t* data = nullptr;  // [batch, depth, height, width, channels]
  double scale = 1;
  int32_t zero_point = 0;
  uint8_t low = 0;
  uint8_t high = 255;
};

// Spatial size of the output.
Extent output_size(const Convolution& conv, const Extent& input_size);

// Convolves with the best instruction set (see best_instruction_set) and requantizes.
void run(
    const PackedView& packed, const RunInput& input, const RunOutput& output,
    const ParallelFor& parallel_for);

// Convolves; returns the real numbers, in the same order.
void run_to_float(
    const PackedView& packed, const RunInput& input, float* output,
    const ParallelFor& parallel_for);

// The kernel that runs it: "dense_amx_int8", "depthwise_avx512_vnni".
std::string kernel_name(const PackedView& packed);

// How such a run goes about it, in words: "blocks of 16 channels 4, taps 9 x 64 bytes, ...".
std::string describe_run(
    const PackedView& packed, const RunInput& input, const ParallelFor& parallel_for);

}  // namespace qconv::native
