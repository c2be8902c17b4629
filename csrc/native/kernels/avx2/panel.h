#pragma once

// Weights widened to 16 bits, for kernels without VNNI. Included as tile.h is, below a target
// pragma.

#include "native/kernels/unroll.h"

namespace qconv::native {
namespace {

// Long sums are added up in stretches whose panel stays in the first-level cache beside the
// activations of a tile: 144 quads (3x3 with 64 channels) are 18 KB.
constexpr int64_t kPanelQuads = 144;
constexpr int64_t kQuadSteps = 2;  // of tile.h in a quad
constexpr int64_t kPanelStepBytes = 2 * kBlockColumns * static_cast<int64_t>(sizeof(int16_t));

// Widens quads of a block, `quad_bytes` apart: [quad][k 0 and 1, k 2 and 3][16 output channels][2
// k]. Returns the end of what it wrote.
inline uint8_t* widen_quads(const int8_t* from, int64_t quads, int64_t quad_bytes, uint8_t* panel) {
  // Bytes go to the upper halves of their 16 bits, from where the shift brings the sign along.
  const __m256i first = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
  const __m256i second = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15));
  constexpr int kVectors = 2;  // of 8 output channels
  for (int64_t quad = 0; quad < quads; ++quad) {
    unrolled<kVectors>([&](auto v) __attribute__((always_inline)) {
      // Reads 64 bytes, also of a narrower block.
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from) + v.value);
      auto* const to = reinterpret_cast<__m256i*>(panel) + v.value;
      _mm256_store_si256(to, _mm256_srai_epi16(_mm256_shuffle_epi8(bytes, first), 8));
      _mm256_store_si256(to + kVectors, _mm256_srai_epi16(_mm256_shuffle_epi8(bytes, second), 8));
    });
    from += quad_bytes;
    panel += kQuadSteps * kPanelStepBytes;
  }
  return panel;
}

}  // namespace
}  // namespace qconv::native
