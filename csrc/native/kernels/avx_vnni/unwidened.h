#pragma once

// The loops of a dense kernel that takes weights as they are packed and activations as they are,
// on the tiles of avx2/tile.h. Included as that is, below a target pragma.

#include "native/kernels/avx2/tile.h"

namespace qconv::native {
namespace {

template <typename Dot>
inline QCONV_INLINE void dense_unwidened(const DenseArguments& arguments) {
  const bool finishes = arguments.weight_zero_points == nullptr && !arguments.to_sums;
  const int64_t element = arguments.to_sums ? sizeof(int32_t) : 1;
  // Blocks outermost: a block's weights stay in the first-level cache while all pixels pass.
  for (int64_t channel = 0; channel < arguments.out_channels; channel += kBlockColumns) {
    Block block = block_at(arguments, channel);
    const int64_t quad_bytes = kQuad * columns_at(arguments, channel);
    block.depth = {
        .tap_offsets = arguments.tap_offsets,
        .taps = arguments.taps,
        .steps = arguments.used_quads,
        .weight_step_bytes = quad_bytes,
        .weight_tap_bytes =
            (arguments.k_blocks * arguments.quads - arguments.used_quads) * quad_bytes,
    };
    alignas(32) int32_t sums[kTilePixels * kBlockColumns];
    Tile tile;
    tile.sums = sums;
    tile.finishes = finishes;
    for_each_tile(
        arguments.output, 0, arguments.pixels,
        [&](int64_t pixel, int pixels, int64_t place) QCONV_INLINE {
          tile.activation = static_cast<const typename Dot::Element*>(arguments.activation) +
              pixel * arguments.pixel_stride;
          tile.output = static_cast<uint8_t*>(arguments.output.data) + (place + channel) * element;
          kTileFunctions<Dot>[pixels](block, tile);
          if (!finishes) {
            finish_from_sums(block, tile, pixels, arguments.activation_sums + pixel);
          }
        });
  }
}

}  // namespace
}  // namespace qconv::native
