#pragma once

// What the dense kernels on 256-bit vectors share: one tile of up to 6 pixels by a block of 16
// output channels, from its sums to its bytes.
//
// Kernel files include this below their target pragma, after <immintrin.h>, <cstring> and the
// project's headers, so that it is compiled for their instruction set; all of it is theirs alone
// (unnamed namespace).
//
// A `Dot` says how a step adds up: Dot::Element is the type of activations,
// Dot::add(sums, values, weights) adds to each int32 of one or two vectors of sums the products of
// 4 bytes of activation with 4 bytes of weights, and Dot::kStepsPerTurn divides all numbers of
// steps. Grouped kernels have other loops in their place (grouped_tile.h).
//
// Registers: 12 hold sums, 2 the weights of a step, 1 the broadcast activation, 1 is for Dot.

#include "native/kernels/unroll.h"
#include "native/kernels/with_store.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

constexpr int kVectorColumns = 8;  // output channels
constexpr int kBlockVectors = kBlockColumns / kVectorColumns;
// What a step reads of the activation of each pixel.
using StepValues = int32_t __attribute__((may_alias, aligned(1)));
constexpr int64_t kStepBytes = sizeof(StepValues);
// Pixels that pass over a block of output channels before the next block begins: their activations
// stay in the second-level cache.
constexpr int64_t kGroupPixels = 256;

// A stretch of the sum over taps and k.
struct Depth {
  const int64_t* tap_offsets;  // elements
  const int64_t* tap_places;   // see DenseArguments
  int64_t offset;              // elements, of the first k beyond them
  int64_t taps;
  int64_t steps;              // per tap
  int64_t weight_step_bytes;  // from the weights of a step to those of the next one
  int64_t weight_tap_bytes;   // from the last step's end to the first step of the next tap
};

// The same of a grouped layout, run by run.
struct GroupedDepth {
  const TapRun* runs = nullptr;
  int64_t run_count = 0;
  int64_t steps = 0;              // per tap
  int64_t weight_step_bytes = 0;  // from the weights of a step to those of the next one
  int64_t weight_tap_bytes = 0;   // from the weights of a tap to those of the next one
  __m256i lanes = {};             // of a load, the 4 bytes that each output channel reads
};

// Four vectors of 8 rounded numbers each as 32 bytes in the same order, clamped.
struct PackToBytes {
  __m256i shift, range, low, order;

  explicit inline QCONV_INLINE PackToBytes(const Requantization& requantization)
      : shift(_mm256_set1_epi16(
            static_cast<int16_t>(requantization.zero_point - requantization.low))),
        range(_mm256_set1_epi8(static_cast<char>(requantization.high - requantization.low))),
        low(_mm256_set1_epi8(static_cast<char>(requantization.low))),
        // The packing instructions work within 128-bit lanes and leave 4 bytes of each of the four
        // vectors in both.
        order(_mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)) {}

  inline QCONV_INLINE __m256i operator()(__m256i a, __m256i b, __m256i c, __m256i d) const {
    const __m256i ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), shift);
    const __m256i cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), shift);
    const __m256i bytes = _mm256_min_epu8(_mm256_packus_epi16(ab, cd), range);
    return _mm256_permutevar8x32_epi32(_mm256_add_epi8(bytes, low), order);
  }
};

// Reads addends as numbers.
struct AddendReader {
  __m128i flip;
  __m256 multiplier;
  intptr_t distance;

  explicit inline QCONV_INLINE AddendReader(const DenseArguments& arguments)
      : flip(_mm_set1_epi8(static_cast<char>(arguments.requantization.addend_flip))),
        multiplier(_mm256_set1_ps(arguments.requantization.addend_multiplier)),
        distance(addend_distance(arguments.output.data, arguments.addend)) {}

  // Of a place of the output.
  inline QCONV_INLINE const uint8_t* at(const uint8_t* place) const {
    return reinterpret_cast<const uint8_t*>(reinterpret_cast<intptr_t>(place) + distance);
  }
  // Adds 8 of them to values.
  inline QCONV_INLINE __m256 add(__m256 values, const uint8_t* addends) const {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(addends));
    const __m256i numbers = _mm256_cvtepu8_epi32(_mm_xor_si128(bytes, flip));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(numbers), multiplier, values);
  }
};

// What the tiles of a block of output channels have in common.
struct Block {
  PackToBytes pack;
  AddendReader addends;
  Depth depth;
  GroupedDepth grouped;
  const void* weight;
  const float* multiplier;  // these arrays begin at the block's first channel
  const float* offset;
  const int32_t* weight_zero_points;  // null: none
  const int32_t* first_sums;          // null: 0
  int64_t channels;                   // that are stored: at most 16
  int64_t pixel_stride;               // of the activation, in elements
  int64_t output_pixel_stride;        // elements
};

// A row of tiles of equally many pixels.
struct Tiles {
  const void* activation = nullptr;
  void* output = nullptr;
  int32_t* sums = nullptr;  // [pixel][16], where they are kept between stretches of the sum
  int64_t count = 0;
  bool adds = false;      // to these sums, instead of beginning with first_sums
  bool finishes = false;  // into the output, instead of leaving sums
};

template <typename Dot, int kPixels, int kVectors>
inline QCONV_INLINE void add_products(
    const Block& block, const typename Dot::Element* activation,
    __m256i (&sums)[kPixels][kVectors]) {
  using Element = typename Dot::Element;
  constexpr int64_t kStepElements = sizeof(StepValues) / sizeof(Element);
  const Depth& depth = block.depth;
  const int64_t stride = block.pixel_stride;
  const auto* weight = static_cast<const uint8_t*>(block.weight);
  const int64_t weight_step_bytes = depth.weight_step_bytes;
  activation += depth.offset;
  for (int64_t tap = 0; tap < depth.taps; ++tap) {
    if (depth.tap_places != nullptr) {
      weight = static_cast<const uint8_t*>(block.weight) +
          depth.tap_places[tap] * (depth.steps * weight_step_bytes + depth.weight_tap_bytes);
    }
    // Every third pixel has a pointer; the two after it are reached by index.
    constexpr int kPointers = (kPixels + 2) / 3;
    const Element* pointers[kPointers];
    unrolled<kPointers>([&](auto i) QCONV_INLINE {
      pointers[i] = activation + depth.tap_offsets[tap] + 3 * i.value * stride;
    });
    for (int64_t step = 0; step < depth.steps; step += Dot::kStepsPerTurn) {
      unrolled<Dot::kStepsPerTurn>([&](auto turn) QCONV_INLINE {
        __m256i weights[kVectors];
        unrolled<kVectors>([&](auto v) QCONV_INLINE {
          weights[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weight) + v.value);
        });
        weight += weight_step_bytes;
        unrolled<kPixels>([&](auto p) QCONV_INLINE {
          const Element* const place = pointers[p / 3] + p % 3 * stride + turn * kStepElements;
          Dot::add(sums[p], *reinterpret_cast<const StepValues*>(place), weights);
        });
      });
      unrolled<kPointers>([&](auto i)
                              QCONV_INLINE { pointers[i] += Dot::kStepsPerTurn * kStepElements; });
    }
    weight += depth.weight_tap_bytes;
  }
}

// What a Dot of dense kernels derives from: the loop above, and the largest tiles for it.
template <typename Dot>
struct DenseProducts {
  static constexpr int kTilePixels = 6;
  static constexpr int kTileVectors = kBlockVectors;

  template <int kPixels, int kVectors, typename Element>
  static inline QCONV_INLINE void add_products(
      const Block& block, const Element* activation, __m256i (&sums)[kPixels][kVectors]) {
    native::add_products<Dot, kPixels, kVectors>(block, activation, sums);
  }
};

inline QCONV_INLINE __m256 scaled(__m256i sums, const Block& block, int channel) {
  return _mm256_fmadd_ps(
      _mm256_cvtepi32_ps(sums), _mm256_loadu_ps(block.multiplier + channel),
      _mm256_loadu_ps(block.offset + channel));
}

// Stores the first `channels`, below 16, of 16 bytes.
inline QCONV_INLINE void store_channels(uint8_t* output, __m128i bytes, int64_t channels) {
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

// A tile's bytes, [pixel][columns], where not all columns are stored.
__attribute__((noinline)) void store_partly(
    const Block& block, uint8_t* output, const uint8_t* bytes, int pixels, int columns) {
  for (int p = 0; p < pixels; ++p) {
    const __m128i all = columns == kBlockColumns
        ? _mm_load_si128(reinterpret_cast<const __m128i*>(bytes))
        : _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
    store_channels(output, all, block.channels);
    output += block.output_pixel_stride;
    bytes += columns;
  }
}

// With addends, all columns must be stored.
template <int kPixels, int kVectors, Store kStore>
inline QCONV_INLINE void store_bytes(
    const Block& block, uint8_t* output, const __m256i (&sums)[kPixels][kVectors]) {
  constexpr int kCount = kPixels * kVectors;
  constexpr int kPacks = (kCount + 3) / 4;
  __m256i bytes[kPacks];
  unrolled<kPacks>([&](auto pack) QCONV_INLINE {
    const auto value = [&](auto i) QCONV_INLINE {
      constexpr int kWanted = 4 * pack.value + i.value;
      constexpr int kVector = kWanted < kCount ? kWanted : kCount - 1;
      constexpr int kPixel = kVector / kVectors;
      constexpr int kChannel = kVector % kVectors * kVectorColumns;
      __m256 values = scaled(sums[kPixel][kVector % kVectors], block, kChannel);
      if constexpr (kStore == Store::kBytesAdded) {
        const uint8_t* const place = output + kPixel * block.output_pixel_stride + kChannel;
        values = block.addends.add(values, block.addends.at(place));
      }
      return _mm256_cvtps_epi32(values);
    };
    bytes[pack] =
        block.pack(value(Index<0>()), value(Index<1>()), value(Index<2>()), value(Index<3>()));
  });
  constexpr int kColumns = kVectors * kVectorColumns;
  if (block.channels != kColumns) {
    alignas(32) uint8_t in_memory[kPacks * sizeof(__m256i)];
    unrolled<kPacks>([&](auto pack) QCONV_INLINE {
      _mm256_store_si256(reinterpret_cast<__m256i*>(in_memory) + pack.value, bytes[pack]);
    });
    store_partly(block, output, in_memory, kPixels, kColumns);
    return;
  }
  const int64_t stride = block.output_pixel_stride;
  unrolled<kPixels>([&](auto p) QCONV_INLINE {
    constexpr int kPixelsPerHalf = kBlockColumns / kColumns;
    constexpr int kHalf = p.value / kPixelsPerHalf;
    const __m128i half = _mm256_extracti128_si256(bytes[kHalf / 2], kHalf % 2);
    if constexpr (kVectors == kBlockVectors) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(output), half);
    } else if constexpr (p.value % kPixelsPerHalf == 0) {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(output), half);
    } else {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(output), _mm_unpackhi_epi64(half, half));
    }
    output += stride;
  });
}

// All columns must be stored.
template <int kPixels, int kVectors>
inline QCONV_INLINE void store_sums(
    const Block& block, uint8_t* output, const __m256i (&sums)[kPixels][kVectors]) {
  unrolled<kPixels>([&](auto p) QCONV_INLINE {
    unrolled<kVectors>([&](auto v) QCONV_INLINE {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(output) + v.value, sums[p][v]);
    });
    output += block.output_pixel_stride * element_bytes(Store::kSums);
  });
}

template <typename Dot, int kPixels, int kVectors, Store kStore>
void compute_tiles(const Block& block, const Tiles& tiles) {
  const auto* activation = static_cast<const typename Dot::Element*>(tiles.activation);
  auto* output = static_cast<uint8_t*>(tiles.output);
  int32_t* kept = tiles.sums;
  for (int64_t i = 0; i < tiles.count; ++i) {
    __m256i sums[kPixels][kVectors];
    const auto for_each_sum = [&](const auto& body) QCONV_INLINE {
      unrolled<kPixels>([&](auto p) QCONV_INLINE {
        unrolled<kVectors>([&](auto v) QCONV_INLINE {
          body(sums[p][v], reinterpret_cast<__m256i*>(kept + p * kBlockColumns) + v.value);
        });
      });
    };
    if (tiles.adds) {
      for_each_sum([](__m256i& sum, const __m256i* place)
                       QCONV_INLINE { sum = _mm256_loadu_si256(place); });
    } else {
      unrolled<kVectors>([&](auto v) QCONV_INLINE {
        const __m256i first = block.first_sums == nullptr
            ? _mm256_setzero_si256()
            : _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.first_sums) + v.value);
        unrolled<kPixels>([&](auto p) QCONV_INLINE { sums[p][v] = first; });
      });
    }
    Dot::add_products(block, activation, sums);
    if (tiles.finishes) {
      if constexpr (kStore == Store::kSums) {
        store_sums<kPixels, kVectors>(block, output, sums);
      } else {
        store_bytes<kPixels, kVectors, kStore>(block, output, sums);
      }
    } else {
      for_each_sum([](const __m256i& sum, __m256i* place)
                       QCONV_INLINE { _mm256_storeu_si256(place, sum); });
    }
    activation += kPixels * block.pixel_stride;
    output += kPixels * block.output_pixel_stride * element_bytes(kStore);
    kept += kPixels * kBlockColumns;
  }
}

using TilesFunction = void (*)(const Block&, const Tiles&);

template <typename Dot, int kVectors, Store kStore, int... kIndex>
constexpr auto tiles_functions(std::integer_sequence<int, kIndex...>) {
  return std::array{compute_tiles<Dot, kIndex + 1, kVectors, kStore>...};
}

// By the number of pixels, from 1 on.
template <typename Dot, int kVectors, Store kStore>
constexpr std::array<TilesFunction, Dot::kTilePixels> kTilesFunctions =
    tiles_functions<Dot, kVectors, kStore>(std::make_integer_sequence<int, Dot::kTilePixels>());

// Tiles of `pixels` each.
template <typename Dot, Store kStore>
inline QCONV_INLINE void compute_tiles(const Block& block, const Tiles& tiles, int pixels) {
  const bool narrow = block.channels <= kVectorColumns;
  const auto& functions = Dot::kTileVectors == 1 || narrow
      ? kTilesFunctions<Dot, 1, kStore>
      : kTilesFunctions<Dot, Dot::kTileVectors, kStore>;
  functions[static_cast<size_t>(pixels - 1)](block, tiles);
}

// The rare ends of tiles, from sums in memory: weights with zero points, and outputs of other than
// bytes alone where not all columns are stored.
template <Store kStore>
__attribute__((noinline)) void finish_from_sums(
    const Block& block, const Tiles& tiles, int64_t pixels, const int32_t* activation_sums) {
  const int64_t stride = block.output_pixel_stride * element_bytes(kStore);
  for (int64_t p = 0; p < pixels; ++p) {
    auto* const output = static_cast<uint8_t*>(tiles.output) + p * stride;
    alignas(32) uint8_t addends[kBlockColumns] = {};
    if constexpr (kStore == Store::kBytesAdded) {
      std::memcpy(addends, block.addends.at(output), static_cast<size_t>(block.channels));
    }
    __m256i values[kBlockVectors];
    unrolled<kBlockVectors>([&](auto v) QCONV_INLINE {
      constexpr int kChannel = v.value * kVectorColumns;
      __m256i sum = _mm256_loadu_si256(
          reinterpret_cast<const __m256i*>(tiles.sums + p * kBlockColumns + kChannel));
      if (block.weight_zero_points != nullptr) {
        const __m256i zero_points = _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(block.weight_zero_points + kChannel));
        sum = _mm256_sub_epi32(
            sum, _mm256_mullo_epi32(zero_points, _mm256_set1_epi32(activation_sums[p])));
      }
      if constexpr (kStore == Store::kSums) {
        values[v] = sum;
      } else {
        __m256 scaled_sums = scaled(sum, block, kChannel);
        if constexpr (kStore == Store::kBytesAdded) {
          scaled_sums = block.addends.add(scaled_sums, addends + kChannel);
        }
        values[v] = _mm256_cvtps_epi32(scaled_sums);
      }
    });
    if constexpr (kStore == Store::kSums) {
      std::memcpy(output, values, static_cast<size_t>(block.channels) * sizeof(int32_t));
    } else {
      const __m128i bytes =
          _mm256_castsi256_si128(block.pack(values[0], values[1], values[0], values[1]));
      if (block.channels == kBlockColumns) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(output), bytes);
      } else {
        store_channels(output, bytes, block.channels);
      }
    }
  }
}

// The block of 16 output channels that begins at `channel`; its depth is left to the caller.
inline QCONV_INLINE Block block_at(const DenseArguments& arguments, int64_t channel) {
  const Requantization& requantization = arguments.requantization;
  const int64_t left = arguments.out_channels - channel;
  const bool to_sums = arguments.store == Store::kSums;
  return {
      .pack = PackToBytes(requantization),
      .addends = AddendReader(arguments),
      .depth = {},
      .grouped = {},
      .weight = arguments.weight + channel / kBlockColumns * arguments.block_stride,
      .multiplier = to_sums ? nullptr : requantization.multiplier + channel,
      .offset = to_sums ? nullptr : requantization.offset + channel,
      .weight_zero_points = arguments.weight_zero_points == nullptr
          ? nullptr
          : arguments.weight_zero_points + channel,
      .first_sums = arguments.first_sums == nullptr ? nullptr : arguments.first_sums + channel,
      .channels = left < kBlockColumns ? left : kBlockColumns,
      .pixel_stride = arguments.pixel_stride,
      .output_pixel_stride = arguments.output.pixel_stride,
  };
}

inline QCONV_INLINE int64_t columns_at(const DenseArguments& arguments, int64_t channel) {
  return channel + kBlockColumns >= arguments.out_channels ? arguments.last_columns : kBlockColumns;
}

// Calls body(first pixel, pixels of a tile, tiles, elements from the output's beginning) for tiles
// of up to kTilePixels that cover those pixels of [begin, end) that are stored. A tile lies within
// one row of the output; rows that touch are one.
template <int kTilePixels, typename Body>
inline QCONV_INLINE void for_each_tiles(
    const OutputPlace& output, int64_t begin, int64_t end, const Body& body) {
  const bool touching = output.row_width == output.row_pitch &&
      output.row_stride == output.row_pitch * output.pixel_stride;
  const bool one_row = touching || end <= output.row_width;
  for (int64_t pixel = begin; pixel < end;) {
    const int64_t row = one_row ? 0 : pixel / output.row_pitch;
    const int64_t column = pixel - row * output.row_pitch;
    const int64_t row_end = one_row ? end : row * output.row_pitch + output.row_width;
    const int64_t left = (row_end < end ? row_end : end) - pixel;
    if (left > 0) {
      // As even as possible: 7 pixels are 4 and 3, not 6 and 1.
      const int64_t tiles = (left + kTilePixels - 1) / kTilePixels;
      const int64_t pixels = left / tiles;
      const int64_t larger = left - tiles * pixels;
      const int64_t place = row * output.row_stride + column * output.pixel_stride;
      if (larger > 0) {
        body(pixel, static_cast<int>(pixels + 1), larger, place);
      }
      const int64_t done = larger * (pixels + 1);
      body(
          pixel + done, static_cast<int>(pixels), tiles - larger,
          place + done * output.pixel_stride);
    }
    pixel = one_row ? end : (row + 1) * output.row_pitch;
  }
}

// Calls body(begin, end) for groups of at most kGroupPixels, about equally large.
template <typename Body>
inline QCONV_INLINE void for_each_group(int64_t pixels, const Body& body) {
  const int64_t groups = (pixels + kGroupPixels - 1) / kGroupPixels;
  for (int64_t group = 0; group < groups; ++group) {
    body(pixels * group / groups, pixels * (group + 1) / groups);
  }
}

// A stretch of the sum (block.depth) of a block and of pixels [begin, end), at most kGroupPixels.
// `sums` are theirs. `last`: of the sum's stretches; their first one doesn't `add`.
template <typename Dot, Store kStore>
inline QCONV_INLINE void compute_pixels(
    const DenseArguments& arguments, const Block& block, int64_t channel, int64_t begin,
    int64_t end, int32_t* sums, bool adds, bool last) {
  // compute_tiles computes whole vectors.
  const bool stores_partly = block.channels % kVectorColumns != 0;
  const bool needs_sums =
      arguments.weight_zero_points != nullptr || (kStore != Store::kBytes && stores_partly);
  Tiles tiles;
  tiles.adds = adds;
  tiles.finishes = last && !needs_sums;
  for_each_tiles<Dot::kTilePixels>(
      arguments.output, begin, end,
      [&](int64_t first, int pixels, int64_t count, int64_t place) QCONV_INLINE {
        tiles.activation = static_cast<const typename Dot::Element*>(arguments.activation) +
            first * arguments.pixel_stride;
        tiles.output = static_cast<uint8_t*>(arguments.output.data) +
            (place + channel) * element_bytes(kStore);
        tiles.sums = sums + (first - begin) * kBlockColumns;
        tiles.count = count;
        compute_tiles<Dot, kStore>(block, tiles, pixels);
        if (last && needs_sums) {
          finish_from_sums<kStore>(
              block, tiles, pixels * count,
              arguments.activation_sums == nullptr ? nullptr : arguments.activation_sums + first);
        }
      });
}

// What compute_pixels does in the end, from sums that were changed since.
template <typename Dot, Store kStore>
inline QCONV_INLINE void finish_pixels(
    const DenseArguments& arguments, const Block& block, int64_t channel, int64_t begin,
    int64_t end, int32_t* sums) {
  for_each_tiles<Dot::kTilePixels>(
      arguments.output, begin, end,
      [&](int64_t first, int pixels, int64_t count, int64_t place) QCONV_INLINE {
        Tiles tiles;
        tiles.output = static_cast<uint8_t*>(arguments.output.data) +
            (place + channel) * element_bytes(kStore);
        tiles.sums = sums + (first - begin) * kBlockColumns;
        finish_from_sums<kStore>(block, tiles, pixels * count, nullptr);
      });
}

}  // namespace
}  // namespace qconv::native
