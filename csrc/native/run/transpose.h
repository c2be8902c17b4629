#pragma once

#include <cstdint>

#include "native/run/run.h"

namespace qconv::native {

// Activations are transposed in blocks of so many channels and pixels: lines of the cache, whole.
constexpr int64_t kBlockChannels = 64;
constexpr int64_t kBlockPixels = 64;

// Rows of pixels, one for each channel and kBlockPixels bytes apart, to pixels `stride` apart.
// At most a block.
void transpose_block(
    const uint8_t* rows, int64_t channels, int64_t pixels, uint8_t* to, int64_t stride);

// An activation of bytes in the order [batch, channels, pixels]; distances in bytes, pixels follow
// each other.
struct ChannelsFirst {
  const uint8_t* data = nullptr;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t pixels = 0;
  int64_t image_stride = 0;
  int64_t channel_stride = 0;
};

// The same in the order [batch, pixels, channels], dense.
void bring_channels_last(
    const ChannelsFirst& activation, uint8_t* to, const ParallelFor& parallel_for);

}  // namespace qconv::native
