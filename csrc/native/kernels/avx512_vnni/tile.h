#pragma once

// What the kernels on 512-bit vectors share that compute tiles of pixels by blocks of 16 output
// channels: where a tile's outputs go, and the way from its sums to them.
//
// Kernel files include this below their target pragma, after <immintrin.h>, <cstring> and the
// project's headers; all of it is theirs alone (unnamed namespace).

#include "native/kernels/unroll.h"
#include "native/kernels/with_store.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

constexpr int kTilePixels = 14;

// What a tile needs, counted from its own first pixel and channel.
struct Tile {
  const uint8_t* activation;
  const int8_t* weight;
  const float* multiplier;
  const float* offset;
  const int32_t* weight_zero_points;  // null: none
  const int32_t* activation_sums;
  const int32_t* first_sums;     // null: 0
  int64_t out_channels;          // at most 16 for each of its blocks
  int64_t quad_bytes[2];         // of weights, in each block
  uint8_t* places[kTilePixels];  // null: not stored
  intptr_t addend_distance;      // see store.h
};

// As an intrinsic, gcc 12 copies the accumulator before every instruction.
inline QCONV_INLINE void dot(__m512i& sum, __m512i activation, __m512i weight) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(activation), "v"(weight));
}

inline QCONV_INLINE __m512 scaled(__m512i sums, __m512 multiplier, __m512 offset) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), multiplier, offset);
}

// Reads addends as numbers.
struct AddendReader {
  __m128i flip;
  __m512 multiplier;
  intptr_t distance;

  inline QCONV_INLINE AddendReader(const Requantization& requantization, intptr_t addend_distance)
      : flip(_mm_set1_epi8(static_cast<char>(requantization.addend_flip))),
        multiplier(_mm512_set1_ps(requantization.addend_multiplier)),
        distance(addend_distance) {}

  // Adds the addend of 16 places of the output, those in the mask, to their values; none for a null
  // place.
  inline QCONV_INLINE __m512 add(__m512 values, const void* place, __mmask16 mask) const {
    const auto* const addend =
        reinterpret_cast<const void*>(reinterpret_cast<intptr_t>(place) + distance);
    const __m128i bytes = _mm_maskz_loadu_epi8(place == nullptr ? 0 : mask, addend);
    const __m512i numbers = _mm512_cvtepu8_epi32(_mm_xor_si128(bytes, flip));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(numbers), multiplier, values);
  }
};

inline QCONV_INLINE __mmask16 channel_mask(int64_t channels) {
  return static_cast<__mmask16>(
      channels >= kBlockColumns ? 0xffff
          : channels > 0        ? (1 << channels) - 1
                                : 0);
}

// Four vectors of 16 rounded numbers each as 64 bytes in the same order, clamped.
struct PackToBytes {
  __m512i shift, range, low, order;

  explicit inline QCONV_INLINE PackToBytes(const Requantization& requantization)
      : shift(_mm512_set1_epi16(
            static_cast<int16_t>(requantization.zero_point - requantization.low))),
        range(_mm512_set1_epi8(static_cast<char>(requantization.high - requantization.low))),
        low(_mm512_set1_epi8(static_cast<char>(requantization.low))),
        // The packing instructions work within 128-bit lanes and leave 4 bytes of each of the four
        // vectors in every lane.
        order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) {}

  inline QCONV_INLINE __m512i operator()(__m512i a, __m512i b, __m512i c, __m512i d) const {
    const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), shift);
    const __m512i cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), shift);
    const __m512i bytes = _mm512_min_epu8(_mm512_packus_epi16(ab, cd), range);
    return _mm512_permutexvar_epi32(order, _mm512_add_epi8(bytes, low));
  }
};

inline QCONV_INLINE void store_block(uint8_t* place, __m128i bytes, int64_t channels) {
  if (place == nullptr) {
    return;
  }
  if (channels >= kBlockColumns) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(place), bytes);
  } else {
    _mm_mask_storeu_epi8(place, channel_mask(channels), bytes);
  }
}

template <int kPixels, int kBlocks>
inline QCONV_INLINE void store_sums(const Tile& tile, const __m512i (&sums)[kPixels * kBlocks]) {
  unrolled<kPixels>([&](auto p) QCONV_INLINE {
    unrolled<kBlocks>([&](auto b) QCONV_INLINE {
      constexpr int kChannel = b.value * kBlockColumns;
      if (tile.places[p] != nullptr) {
        _mm512_mask_storeu_epi32(
            reinterpret_cast<int32_t*>(tile.places[p]) + kChannel,
            channel_mask(tile.out_channels - kChannel), sums[p * kBlocks + b]);
      }
    });
  });
}

template <int kPixels, int kBlocks, Store kStore>
inline QCONV_INLINE void store_bytes(
    const Requantization& requantization, const Tile& tile, __m512i (&sums)[kPixels * kBlocks]) {
  constexpr int kVectors = kPixels * kBlocks;
  const PackToBytes pack(requantization);
  const AddendReader addends(requantization, tile.addend_distance);
  __m512 multiplier[kBlocks];
  __m512 offset[kBlocks];
  unrolled<kBlocks>([&](auto b) QCONV_INLINE {
    multiplier[b] = _mm512_loadu_ps(tile.multiplier + b * kBlockColumns);
    offset[b] = _mm512_loadu_ps(tile.offset + b * kBlockColumns);
  });
  unrolled<(kVectors + 3) / 4>([&](auto group) QCONV_INLINE {
    constexpr int kFirst = 4 * group.value;
    const auto value = [&](auto i) QCONV_INLINE {
      constexpr int kVector = kFirst + i.value < kVectors ? kFirst + i.value : kVectors - 1;
      constexpr int kBlock = kVector % kBlocks;
      __m512 values = scaled(sums[kVector], multiplier[kBlock], offset[kBlock]);
      if constexpr (kStore == Store::kBytesAdded) {
        constexpr int kChannel = kBlock * kBlockColumns;
        const uint8_t* const place = tile.places[kVector / kBlocks];
        values = addends.add(
            values, place == nullptr ? nullptr : place + kChannel,
            channel_mask(tile.out_channels - kChannel));
      }
      return _mm512_cvtps_epi32(values);
    };
    const __m512i bytes =
        pack(value(Index<0>()), value(Index<1>()), value(Index<2>()), value(Index<3>()));
    if (kBlocks == 2 && tile.out_channels == kBlocks * kBlockColumns) {
      unrolled<2>([&](auto half) QCONV_INLINE {
        constexpr int kPixel = kFirst / 2 + half.value;
        if (kPixel < kPixels && tile.places[kPixel] != nullptr) {
          _mm256_storeu_si256(
              reinterpret_cast<__m256i*>(tile.places[kPixel]),
              _mm512_extracti64x4_epi64(bytes, half.value));
        }
      });
      return;
    }
    unrolled<4>([&](auto i) QCONV_INLINE {
      constexpr int kVector = kFirst + i.value;
      if constexpr (kVector < kVectors) {
        constexpr int kChannel = kVector % kBlocks * kBlockColumns;
        uint8_t* const place = tile.places[kVector / kBlocks];
        store_block(
            place == nullptr ? nullptr : place + kChannel,
            _mm512_extracti32x4_epi32(bytes, i.value), tile.out_channels - kChannel);
      }
    });
  });
}

// The rare end of a tile, from sums in memory: weights with zero points. Compiled once for all tile
// sizes.
__attribute__((noinline)) void finish_with_zero_points(
    const DenseArguments& arguments, const Tile& tile, int pixels, int blocks,
    int32_t (*sums)[kBlockColumns]) {
  const PackToBytes pack(arguments.requantization);
  const AddendReader addends(arguments.requantization, tile.addend_distance);
  for (int p = 0; p < pixels; ++p) {
    for (int b = 0; b < blocks && tile.places[p] != nullptr; ++b) {
      const int64_t first = b * kBlockColumns;
      const int64_t channels = tile.out_channels - first;
      const __m512i product = _mm512_mullo_epi32(
          _mm512_loadu_si512(tile.weight_zero_points + first),
          _mm512_set1_epi32(tile.activation_sums[p]));
      const __m512i sum = _mm512_sub_epi32(_mm512_loadu_si512(sums[p * blocks + b]), product);
      if (arguments.store == Store::kSums) {
        _mm512_mask_storeu_epi32(
            reinterpret_cast<int32_t*>(tile.places[p]) + first, channel_mask(channels), sum);
        continue;
      }
      uint8_t* const place = tile.places[p] + first;
      __m512 values = scaled(
          sum, _mm512_loadu_ps(tile.multiplier + first), _mm512_loadu_ps(tile.offset + first));
      if (arguments.store == Store::kBytesAdded) {
        values = addends.add(values, place, channel_mask(channels));
      }
      const __m512i numbers = _mm512_cvtps_epi32(values);
      store_block(
          place, _mm512_castsi512_si128(pack(numbers, numbers, numbers, numbers)), channels);
    }
  }
}

// From a tile's sums to its output.
template <int kPixels, int kBlocks, Store kStore>
inline QCONV_INLINE void finish_tile(
    const DenseArguments& arguments, const Tile& tile, __m512i (&sums)[kPixels * kBlocks]) {
  if (tile.weight_zero_points == nullptr) {
    if constexpr (kStore == Store::kSums) {
      store_sums<kPixels, kBlocks>(tile, sums);
    } else {
      store_bytes<kPixels, kBlocks, kStore>(arguments.requantization, tile, sums);
    }
    return;
  }
  int32_t in_memory[kPixels * kBlocks][kBlockColumns];
  unrolled<kPixels * kBlocks>([&](auto i)
                                  QCONV_INLINE { _mm512_storeu_si512(in_memory[i], sums[i]); });
  finish_with_zero_points(arguments, tile, kPixels, kBlocks, in_memory);
}

// On to the outputs so many bytes further in every pixel.
inline QCONV_INLINE void advance(Tile& tile, int64_t bytes) {
  for (uint8_t*& place : tile.places) {
    place = place == nullptr ? nullptr : place + bytes;
  }
}

// Sets `tile` up and calls compute(its pixels) for tiles that cover all pixels of a call; what
// these share is left to the caller.
template <Store kStore, typename Compute>
inline QCONV_INLINE void for_each_tile(
    const DenseArguments& arguments, Tile& tile, const Compute& compute) {
  const auto* const activation = static_cast<const uint8_t*>(arguments.activation);
  const OutputPlace& output = arguments.output;
  constexpr int64_t kElement = element_bytes(kStore);
  int64_t column = 0;
  auto* row = static_cast<uint8_t*>(output.data);
  for (int64_t pixel = 0; pixel < arguments.pixels;) {
    // As even as possible: 15 pixels are 8 and 7, not 14 and 1.
    const int64_t left = arguments.pixels - pixel;
    const int64_t tiles = (left + kTilePixels - 1) / kTilePixels;
    const int pixels = static_cast<int>((left + tiles - 1) / tiles);
    tile.addend_distance = addend_distance(output.data, arguments.addend);
    tile.activation = activation + pixel * arguments.pixel_stride;
    tile.activation_sums =
        arguments.activation_sums == nullptr ? nullptr : arguments.activation_sums + pixel;
    const int64_t step = output.pixel_stride * kElement;
    if (column + pixels < output.row_width) {
      // All of a tile, so that it is one step of vectors.
      for (int p = 0; p < kTilePixels; ++p) {
        tile.places[p] = p < pixels ? row + (column + p) * step : nullptr;
      }
      column += pixels;
    } else {
      for (int p = 0; p < kTilePixels; ++p) {
        tile.places[p] = p < pixels && column < output.row_width ? row + column * step : nullptr;
        if (p < pixels && ++column == output.row_pitch) {
          column = 0;
          row += output.row_stride * kElement;
        }
      }
    }
    compute(pixels);
    pixel += pixels;
  }
}

}  // namespace
}  // namespace qconv::native
