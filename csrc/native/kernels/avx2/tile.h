#pragma once

// What the dense kernels on 256-bit vectors share: one tile of up to 6 pixels by a block of 16
// output channels, from its sums to its bytes.
//
// Kernel files include this below their target pragma, after <immintrin.h>, <cstring> and the
// project's headers, so that it is compiled for their instruction set; all of it is theirs alone
// (unnamed namespace).
//
// A `Dot` says how a step adds up: Dot::Element is the type of activations, and
// Dot::add(sums, activation, weight) adds to each of 8 int32 the products of 4 bytes of
// activation with 4 bytes of weight.
//
// Registers: 12 hold sums, 2 the weights of a step, 1 the broadcast activation, 1 is for Dot.

#include "native/kernels/unroll.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

constexpr int kTilePixels = 6;
constexpr int kVectors = 2;        // of a block, per pixel
constexpr int kVectorColumns = 8;  // output channels
constexpr int64_t kStepBytes = 4;  // of activation that a step reads of each pixel
static_assert(kVectors * kVectorColumns == kBlockColumns);

// A stretch of the sum over taps and k.
struct Depth {
  const int64_t* tap_offsets;  // elements
  int64_t taps;
  int64_t steps;              // per tap
  int64_t weight_step_bytes;  // from the weights of a step to those of the next one
  int64_t weight_tap_bytes;   // from the last step's end to the first step of the next tap
};

// What the tiles of a block of output channels have in common.
struct Block {
  Depth depth;
  const void* weight;
  Requantization requantization;  // its arrays begin at the block's first channel
  const int32_t* weight_zero_points;
  int64_t channels;             // that are stored: at most 16
  int64_t pixel_stride;         // of the activation, in elements
  int64_t output_pixel_stride;  // elements
  bool to_sums;
};

// Where one tile begins.
struct Tile {
  const void* activation = nullptr;
  void* output = nullptr;
  int32_t* sums = nullptr;  // [pixel][16], where they are kept between stretches of the sum
  bool adds = false;        // to these sums, instead of beginning at 0
  bool finishes = false;    // into bytes of output, instead of leaving sums
};

template <typename Dot, int kPixels>
inline QCONV_INLINE void add_products(
    const Block& block, const void* activation, __m256i (&sums)[kPixels * kVectors]) {
  using Element = typename Dot::Element;
  constexpr int64_t kStepElements = kStepBytes / sizeof(Element);
  const Depth& depth = block.depth;
  const int64_t stride = block.pixel_stride;
  const auto* weight = static_cast<const uint8_t*>(block.weight);
  const int64_t weight_step_bytes = depth.weight_step_bytes;
  for (int64_t tap = 0; tap < depth.taps; ++tap) {
    // Every third pixel has a pointer; the two after it are reached by index.
    constexpr int kPointers = (kPixels + 2) / 3;
    const Element* pointers[kPointers];
    unrolled<kPointers>([&](auto i) QCONV_INLINE {
      pointers[i] =
          static_cast<const Element*>(activation) + depth.tap_offsets[tap] + 3 * i.value * stride;
    });
    for (int64_t step = 0; step < depth.steps; ++step) {
      const __m256i weight0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weight));
      const __m256i weight1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weight) + 1);
      weight += weight_step_bytes;
      unrolled<kPixels>([&](auto p) QCONV_INLINE {
        int32_t values;
        std::memcpy(&values, pointers[p / 3] + p % 3 * stride, sizeof(values));
        const __m256i broadcast = _mm256_set1_epi32(values);
        Dot::add(sums[p * kVectors], broadcast, weight0);
        Dot::add(sums[p * kVectors + 1], broadcast, weight1);
      });
      unrolled<kPointers>([&](auto i) QCONV_INLINE { pointers[i] += kStepElements; });
    }
    weight += depth.weight_tap_bytes;
  }
}

inline QCONV_INLINE __m256i rounded(__m256i sums, __m256 multiplier, __m256 offset) {
  return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), multiplier, offset));
}

// Four vectors of 8 numbers each as 32 bytes in the same order, clamped.
struct PackToBytes {
  __m256i zero_point, low, high, order;

  explicit inline QCONV_INLINE PackToBytes(const Requantization& requantization)
      : zero_point(_mm256_set1_epi16(static_cast<int16_t>(requantization.zero_point))),
        low(_mm256_set1_epi8(static_cast<char>(requantization.low))),
        high(_mm256_set1_epi8(static_cast<char>(requantization.high))),
        // The packing instructions work within 128-bit lanes and leave 4 bytes of each of the four
        // vectors in both.
        order(_mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)) {}

  inline QCONV_INLINE __m256i operator()(__m256i a, __m256i b, __m256i c, __m256i d) const {
    const __m256i ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero_point);
    const __m256i cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero_point);
    const __m256i bytes = _mm256_packus_epi16(ab, cd);
    return _mm256_permutevar8x32_epi32(_mm256_min_epu8(_mm256_max_epu8(bytes, low), high), order);
  }
};

// Stores the first `channels` of 16 bytes.
inline QCONV_INLINE void store_channels(uint8_t* output, __m128i bytes, int64_t channels) {
  if (channels == kBlockColumns) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output), bytes);
    return;
  }
  if ((channels & 8) != 0) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(output), bytes);
    bytes = _mm_srli_si128(bytes, 8);
    output += 8;
  }
  if ((channels & 4) != 0) {
    const int32_t four = _mm_cvtsi128_si32(bytes);
    std::memcpy(output, &four, sizeof(four));
    bytes = _mm_srli_si128(bytes, 4);
    output += 4;
  }
  const int32_t rest = _mm_cvtsi128_si32(bytes);
  for (int64_t i = 0; i < (channels & 3); ++i) {
    output[i] = static_cast<uint8_t>(rest >> (8 * i));
  }
}

template <int kPixels>
inline QCONV_INLINE void store_bytes(
    const Block& block, void* output, const __m256i (&sums)[kPixels * kVectors]) {
  const PackToBytes pack(block.requantization);
  const float* const multipliers = block.requantization.multiplier;
  const float* const offsets = block.requantization.offset;
  const __m256 multiplier[] = {
      _mm256_loadu_ps(multipliers), _mm256_loadu_ps(multipliers + kVectorColumns)};
  const __m256 offset[] = {_mm256_loadu_ps(offsets), _mm256_loadu_ps(offsets + kVectorColumns)};
  auto* place = static_cast<uint8_t*>(output);
  unrolled<(kPixels + 1) / 2>([&](auto pair) QCONV_INLINE {
    constexpr int kFirst = 2 * pair.value;
    constexpr int kSecond = kFirst + 1 < kPixels ? kFirst + 1 : kFirst;
    const auto value = [&](auto pixel, auto vector) QCONV_INLINE {
      return rounded(sums[pixel * kVectors + vector], multiplier[vector], offset[vector]);
    };
    const __m256i bytes = pack(
        value(Index<kFirst>(), Index<0>()), value(Index<kFirst>(), Index<1>()),
        value(Index<kSecond>(), Index<0>()), value(Index<kSecond>(), Index<1>()));
    store_channels(place, _mm256_castsi256_si128(bytes), block.channels);
    place += block.output_pixel_stride;
    if constexpr (kSecond != kFirst) {
      store_channels(place, _mm256_extracti128_si256(bytes, 1), block.channels);
      place += block.output_pixel_stride;
    }
  });
}

template <typename Dot, int kPixels>
void compute_tile(const Block& block, const Tile& tile) {
  __m256i sums[kPixels * kVectors];
  auto* const kept = reinterpret_cast<__m256i*>(tile.sums);
  if (tile.adds) {
    unrolled<kPixels * kVectors>(
        [&](auto i) QCONV_INLINE { sums[i] = _mm256_loadu_si256(kept + i.value); });
  } else {
    unrolled<kPixels * kVectors>([&](auto i) QCONV_INLINE { sums[i] = _mm256_setzero_si256(); });
  }
  add_products<Dot, kPixels>(block, tile.activation, sums);
  if (tile.finishes) {
    store_bytes<kPixels>(block, tile.output, sums);
  } else {
    unrolled<kPixels * kVectors>(
        [&](auto i) QCONV_INLINE { _mm256_storeu_si256(kept + i.value, sums[i]); });
  }
}

using TileFunction = void (*)(const Block&, const Tile&);

template <typename Dot>
constexpr TileFunction kTileFunctions[kTilePixels + 1] = {
    nullptr,
    compute_tile<Dot, 1>,
    compute_tile<Dot, 2>,
    compute_tile<Dot, 3>,
    compute_tile<Dot, 4>,
    compute_tile<Dot, 5>,
    compute_tile<Dot, 6>,
};

// The rare ends of a tile, from sums in memory: weights with zero points, and int32 output.
__attribute__((noinline)) void finish_from_sums(
    const Block& block, const Tile& tile, int pixels, const int32_t* activation_sums) {
  const PackToBytes pack(block.requantization);
  for (int p = 0; p < pixels; ++p) {
    __m256i value[kVectors];
    unrolled<kVectors>([&](auto v) QCONV_INLINE {
      const int channel = v * kVectorColumns;
      __m256i& sum = value[v];
      sum = _mm256_loadu_si256(
          reinterpret_cast<const __m256i*>(tile.sums + p * kBlockColumns + channel));
      if (block.weight_zero_points != nullptr) {
        const __m256i zero_points = _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(block.weight_zero_points + channel));
        sum = _mm256_sub_epi32(
            sum, _mm256_mullo_epi32(zero_points, _mm256_set1_epi32(activation_sums[p])));
      }
      if (!block.to_sums) {
        sum = rounded(
            sum, _mm256_loadu_ps(block.requantization.multiplier + channel),
            _mm256_loadu_ps(block.requantization.offset + channel));
      }
    });
    if (block.to_sums) {
      std::memcpy(
          static_cast<int32_t*>(tile.output) + p * block.output_pixel_stride, value,
          static_cast<size_t>(block.channels) * sizeof(int32_t));
    } else {
      store_channels(
          static_cast<uint8_t*>(tile.output) + p * block.output_pixel_stride,
          _mm256_castsi256_si128(pack(value[0], value[1], value[0], value[1])), block.channels);
    }
  }
}

// The block of 16 output channels that begins at `channel`; its depth is left to the caller.
inline QCONV_INLINE Block block_at(const DenseArguments& arguments, int64_t channel) {
  Block block;
  block.weight = arguments.weight + channel / kBlockColumns * arguments.block_stride;
  block.requantization = arguments.requantization;
  if (!arguments.to_sums) {
    block.requantization.multiplier += channel;
    block.requantization.offset += channel;
  }
  block.weight_zero_points =
      arguments.weight_zero_points == nullptr ? nullptr : arguments.weight_zero_points + channel;
  const int64_t left = arguments.out_channels - channel;
  block.channels = left < kBlockColumns ? left : kBlockColumns;
  block.pixel_stride = arguments.pixel_stride;
  block.output_pixel_stride = arguments.output.pixel_stride;
  block.to_sums = arguments.to_sums;
  return block;
}

inline QCONV_INLINE int64_t columns_at(const DenseArguments& arguments, int64_t channel) {
  return channel + kBlockColumns >= arguments.out_channels ? arguments.last_columns : kBlockColumns;
}

// Calls body(first pixel, pixels, elements from the output's beginning) for tiles that cover those
// pixels of [begin, end) that are stored. A tile lies within one row of the output; rows that touch
// are one.
template <typename Body>
inline QCONV_INLINE void for_each_tile(
    const OutputPlace& output, int64_t begin, int64_t end, const Body& body) {
  const bool touching = output.row_width == output.row_pitch &&
      output.row_stride == output.row_pitch * output.pixel_stride;
  const bool one_row = touching || end <= output.row_width;
  for (int64_t pixel = begin; pixel < end;) {
    const int64_t row = one_row ? 0 : pixel / output.row_pitch;
    const int64_t column = pixel - row * output.row_pitch;
    const int64_t width = one_row ? end : output.row_width;
    int64_t left = (width - column < end - pixel) ? width - column : end - pixel;
    int64_t place = row * output.row_stride + column * output.pixel_stride;
    // As even as possible: 7 pixels are 4 and 3, not 6 and 1.
    for (int64_t tiles = (left + kTilePixels - 1) / kTilePixels; left > 0; --tiles) {
      const int count = static_cast<int>((left + tiles - 1) / tiles);
      body(pixel, count, place);
      pixel += count;
      left -= count;
      place += count * output.pixel_stride;
    }
    if (!one_row && pixel < end) {
      pixel = (row + 1) * output.row_pitch;
    }
  }
}

}  // namespace
}  // namespace qconv::native
