#pragma once

// The loops of a dense kernel that takes weights as they are packed and activations as they are,
// on the tiles of tile.h. Included as that is, below a target pragma.

#include "native/kernels/avx2/tile.h"

namespace qconv::native {
namespace {

template <typename Dot, Store kStore>
void dense_storing(const DenseArguments& arguments) {
  alignas(64) int32_t sums[kGroupPixels * kBlockColumns];
  for_each_group(arguments.pixels, [&](int64_t begin, int64_t end) QCONV_INLINE {
    for (int64_t channel = 0; channel < arguments.out_channels; channel += kBlockColumns) {
      const int64_t quad_bytes = kQuad * columns_at(arguments, channel);
      Block block = block_at(arguments, channel);
      block.depth = {
          .tap_offsets = arguments.tap_offsets,
          .tap_places = arguments.tap_places,
          .offset = 0,
          .taps = arguments.taps,
          .steps = arguments.used_quads,
          .weight_step_bytes = quad_bytes,
          .weight_tap_bytes =
              (arguments.k_blocks * arguments.quads - arguments.used_quads) * quad_bytes,
      };
      compute_pixels<Dot, kStore>(arguments, block, channel, begin, end, sums, false, true);
    }
  });
}

template <typename Dot>
inline QCONV_INLINE void dense_unwidened(const DenseArguments& arguments) {
  with_store(
      arguments.store, [&](auto store) QCONV_INLINE { dense_storing<Dot, store>(arguments); });
}

}  // namespace
}  // namespace qconv::native
