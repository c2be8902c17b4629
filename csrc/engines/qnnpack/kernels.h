#pragma once

#include <cstdint>
#include <vector>

#include "engines/engine.h"
#include "engines/qnnpack/weight_blocks.h"

namespace qconv {

// How the sums of a run become uint8.
struct QnnpackOutput {
  const float* multipliers = nullptr;           // see QnnpackRequantization
  const uint8_t* weight_zero_points = nullptr;  // see unsigned_zero_points
  int32_t zero_point = 0;
  PostOp post_op = PostOp::kNone;
  uint8_t* data = nullptr;
};

// 1x1 kernels that read each pixel once, in order, of channels enough for a matrix product.
bool runs_as_gemm(const ConvGeometry& geometry);

// QNNPACK's matrix product for those, else its convolution through pointers, which serves
// transposed ones as well. On all threads.
void run_kernel(
    const ConvDescription& conv, const TileBlocks& blocks, const WeightBytes& weight,
    const RunShape& shape, const Activation& input, const QnnpackOutput& output);

// QNNPACK's depthwise kernels for 9 and 25 taps, for these or fewer. On all threads.
void run_kernel(
    const ConvDescription& conv, const DepthwiseBlocks& blocks, const WeightBytes& weight,
    const RunShape& shape, const Activation& input, const QnnpackOutput& output);

}  // namespace qconv
