#pragma once

#include <cstdint>
#include <string>

#include "native/epilogue.h"
#include "native/format/packed_view.h"

namespace qconv::native {

// Calls body(context, begin, end) on ranges that cover [0, count), from several threads if it
// likes.
struct ParallelFor {
  using Body = void (*)(void* context, int64_t begin, int64_t end);
  void (*run)(int64_t count, Body body, void* context) = nullptr;  // null: the calling thread
  int threads = 1;
  // A run takes as many of them as get at least so much work each, if that is worth starting them;
  // 0: all.
  double least_microseconds = 5;
};

// An activation in memory order [batch, depth, height, width, channels];
// real = (q - zero_point) * scale.
struct RunInput {
  const void* data = nullptr;
  ElementType type = ElementType::kUint8;  // or kInt8
  int64_t batch = 0;
  Extent size{1, 1, 1};
  double scale = 1;
  int32_t zero_point = 0;
};

// Spatial size of the output.
Extent output_size(const Convolution& conv, const Extent& input_size);

// Convolves with the best instruction set (see best_instruction_set): the output is
// function(convolution + addend). An addend that the output's memory overlaps must be it.
void run(
    const PackedView& packed, const RunInput& input, const Epilogue& epilogue,
    const RunOutput& output, const ParallelFor& parallel_for);

// The epilogue alone, on real numbers, in float64: output = function(real + addend). With the most
// capable instruction set of the machine, whatever TORCH_QCONV_ISA says.
void apply_epilogue(
    const float* reals, int64_t count, const Epilogue& epilogue, const RunOutput& output,
    const ParallelFor& parallel_for);

// The kernel that runs it: "dense_amx_int8", "depthwise_avx512_vnni".
std::string kernel_name(const PackedView& packed);

// How such a run goes about it, in words: "blocks of 16 channels 4, taps 9 x 64 bytes, ...".
std::string describe_run(
    const PackedView& packed, const RunInput& input, const ParallelFor& parallel_for);

}  // namespace qconv::native
