#pragma once

#include <cstdint>

#include "native/kernels/store.h"

namespace qconv::native {

// Where the pixels of a run go. A run may pass over pixels that lie between the rows of the output
// (joined rows, see run/): pixel p is column p % row_pitch of row p / row_pitch, and is stored only
// if that column is below row_width.
struct OutputPlace {
  void* data = nullptr;      // of pixel 0, output channel 0 of this call
  int64_t pixel_stride = 0;  // elements between pixels of a row
  int64_t row_stride = 0;    // elements between rows
  int64_t row_pitch = 0;
  int64_t row_width = 0;
};

// Taps that read neighbours: tap taps[i] of a pixel reads what tap taps[0] does of the pixel i
// pixels after it.
struct TapRun {
  static constexpr int64_t kMostTaps = 3;

  int64_t offset = 0;  // of tap taps[0], in elements
  int64_t count = 0;
  int64_t taps[kMostTaps] = {};
};

// One run of a dense convolution: `pixels` output pixels at a constant distance in the activation,
// all output channels of `blocks` blocks of packed weights (see Layout).
//
//   sum[p][c] = sum over taps t, k < 4 * quads of
//               activation[p * pixel_stride + tap_offsets[t] + k] * weight[c][t][k]
//               - weight_zero_points[c] * activation_sums[p] + first_sums[c]
//
// in int32, without saturation in between; the total is known to fit.
//
// Grouped layouts have kernels of their own, with the same arguments. There, output channel c reads
// the activation from element c / group_outputs * group_inputs on, and what is subtracted is
// weight_zero_points[c] * (sum of all that it reads).
struct DenseArguments {
  // uint8, or uint16 where the kernel set has a `widen`; offsets and strides are
  // counted in elements.
  const void* activation = nullptr;
  int64_t pixels = 0;
  int64_t pixel_stride = 0;
  bool comes_from_afar = false;  // from beyond the second-level cache
  const int64_t* tap_offsets = nullptr;
  int64_t taps = 0;
  // Where the taps are among those of a packed block; null: they are its first ones, in order. Not
  // for grouped layouts.
  const int64_t* tap_places = nullptr;

  // Packed weights of the first output channel of the call. A tap has k_blocks * quads quads, of
  // which the first used_quads hold weights and the others zeros. A kernel reads 4 * used_quads
  // elements of each tap of the activation of each of the `pixels`, or 4 * k_blocks * quads if its
  // set says `reads_padding`, and nothing else.
  const int8_t* weight = nullptr;
  int64_t block_stride = 0;  // bytes between blocks
  int64_t k_blocks = 0;
  int64_t quads = 0;
  int64_t used_quads = 0;
  int64_t out_channels = 0;   // the last block computes out_channels % 16 of its columns, if not 0
  int64_t last_columns = 16;  // columns in memory of the last of these blocks: 4, 8, 12 or 16; 64
                              // bytes after the last weight can be read

  // Per channel, as readable as multiplier; or null. Any numbers whose products fit int32.
  const int32_t* weight_zero_points = nullptr;
  const int32_t* activation_sums = nullptr;  // per pixel of the run; null with the former, and for
                                             // grouped kernels
  // Per channel, as readable as multiplier: what sums begin with, of taps that were left out; null:
  // 0. Not for grouped layouts.
  const int32_t* first_sums = nullptr;

  // Of grouped layouts, whose taps have one k block without padding, and whose blocks all have 16
  // columns in memory. Their kernels read kGroupedReach elements from every quad of the first group
  // of a block on.
  int64_t group_outputs = 0;  // channels of a group, a divisor of 16; 0: not a grouped layout
  int64_t group_inputs = 0;   // a multiple of 4
  const TapRun* tap_runs = nullptr;  // all taps, each once
  int64_t tap_run_count = 0;

  Store store = Store::kBytes;
  Requantization requantization;  // not for Store::kSums
  OutputPlace output;             // bytes, or int32 for Store::kSums
  // Bytes in the places that those of the output have, for Store::kBytesAdded. May be the output's
  // own memory.
  const void* addend = nullptr;
};

constexpr int64_t kGroupedReach = 32;

// Elements that follow an activation in memory of ours: a kernel that reads padding reads no more
// of them behind the last tap of the last pixel.
constexpr int64_t kReadableBeyond = 64;

using DenseKernel = void (*)(const DenseArguments& arguments);

}  // namespace qconv::native
