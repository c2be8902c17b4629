#pragma once

#include <cstdint>
#include <vector>

#include "conv/description.h"

namespace qconv {

// Bytes in the order that a kernel of QNNPACK takes: blocks of output channels, each of int32
// biases and then uint8 weights.
using WeightBytes = std::vector<uint8_t>;

// Where that order has everything.
class WeightBlocks {
 public:
  virtual ~WeightBlocks() = default;

  virtual int64_t nbytes() const = 0;
  // Taps that the kernel takes, real ones first: the rest hold zero points.
  virtual int64_t tap_slots() const = 0;
  // Input channels of a group, rounded up to what the kernel takes at once.
  virtual int64_t in_channel_slots() const = 0;
  virtual int64_t bias_position(int64_t channel) const = 0;
  // Of an output channel's weight for the tap and the first input channel.
  virtual int64_t row_position(int64_t channel, int64_t tap) const = 0;
  // From there to the weight for another input channel.
  virtual int64_t step(int64_t in_channel) const = 0;
};

// For `gemm` and `conv`:
// [groups, blocks of nr channels, taps, blocks of kr input channels, nr, kr].
class TileBlocks final : public WeightBlocks {
 public:
  explicit TileBlocks(const ConvGeometry& geometry);

  int64_t nbytes() const override { return groups_ * blocks_ * block_bytes(); }
  int64_t tap_slots() const override { return taps_; }
  int64_t in_channel_slots() const override { return in_slots_; }
  int64_t bias_position(int64_t channel) const override;
  int64_t row_position(int64_t channel, int64_t tap) const override;
  int64_t step(int64_t in_channel) const override;

  int64_t blocks_per_group() const { return blocks_; }
  int64_t block_bytes() const;

 private:
  int64_t groups_, out_, taps_, blocks_, in_slots_;
};

// For depthwise kernels: passes of 10 taps (all 9 at once for that kernel), each
// [blocks of cr channels, taps, cr]; the biases precede the weights of the first pass's blocks.
class DepthwiseBlocks final : public WeightBlocks {
 public:
  explicit DepthwiseBlocks(const ConvGeometry& geometry);

  static bool has_kernel_for(const ConvGeometry& geometry);

  int64_t nbytes() const override;
  int64_t tap_slots() const override { return slots_; }
  int64_t in_channel_slots() const override { return 1; }
  int64_t bias_position(int64_t channel) const override;
  int64_t row_position(int64_t channel, int64_t tap) const override;
  int64_t step(int64_t) const override { return 0; }

 private:
  int64_t slots_, blocks_;
};

// grouped_weight: see weight_layout.h. The biases are 0.
WeightBytes pack_weight(
    const ConvDescription& conv, const WeightBlocks& blocks, const int8_t* grouped_weight);

void unpack_weight(
    const ConvGeometry& geometry, const WeightBlocks& blocks, const WeightBytes& bytes,
    int8_t* grouped_weight);

// biases: one entry per output channel.
void set_biases(const WeightBlocks& blocks, const std::vector<int32_t>& biases, WeightBytes& bytes);

}  // namespace qconv
