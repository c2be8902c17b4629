// Grouped convolution with AVX512-VNNI: groups of at most 16 inputs and outputs.
//
// A tile is up to 14 pixels by a block of 16 output channels: 14 registers hold sums, 3 the weights
// of a quad of the taps of a run, 1 the quads of a pixel, each in the lanes of its group's outputs,
// 1 the permutation that brings them there. They are spread once for all taps of the run: for a run
// of 3 taps 16 loads, 16 vpermd and 42 vpdpbusd, 64 multiply-adds each. Peak: as many vpdpbusd a
// cycle as the core has ports for, less where vpermd shares one of two (Intel servers).
#include "native/kernels/avx512_vnni/grouped.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")

#include "native/kernels/avx512_vnni/tile.h"

namespace qconv::native {
namespace {

// Which quad of a load each output channel of a block reads.
inline QCONV_INLINE __m512i lanes_of(const DenseArguments& arguments) {
  int32_t quads[kBlockColumns];
  for (int64_t c = 0; c < kBlockColumns; ++c) {
    quads[c] = static_cast<int32_t>(c / arguments.group_outputs * arguments.group_inputs / kQuad);
  }
  return _mm512_loadu_si512(quads);
}

// A quad of every group of a block, in the lanes of the group's output channels.
struct SpreadQuads {
  // In assembly, since gcc 12 copies what it widens from 128 bits.
  static inline QCONV_INLINE __m512i load(const uint8_t* values, const __m512i& lanes) {
    __m512i quads;
    __asm__(
        "vmovdqu32 %1, %x0\n\t"
        "vpermd %0, %2, %0"
        : "=&v"(quads)
        : "m"(*reinterpret_cast<const __m128i_u*>(values)), "v"(lanes));
    return quads;
  }
};

// The same for blocks of one group.
struct BroadcastQuad {
  static inline QCONV_INLINE __m512i load(const uint8_t* values, const __m512i&) {
    int32_t quad;
    std::memcpy(&quad, values, sizeof(quad));
    return _mm512_set1_epi32(quad);
  }
};

// Where a block's weights lie.
struct Weights {
  const int8_t* first;
  int64_t quad_bytes;
  int64_t tap_bytes;
};

struct GroupedTile : Tile {
  const int32_t* zero_points;  // of the weights; null: none
  __m512i lanes;
  // Of pixel 0, if whole blocks of bytes of all pixels are stored, in one row; else null, and
  // `places` has them.
  uint8_t* row;
};

template <typename Quads, int kPixels, int kTaps>
inline QCONV_INLINE void add_run(
    const DenseArguments& arguments, const GroupedTile& tile, const Weights& weights,
    const TapRun& run, __m512i (&sums)[kPixels]) {
  constexpr int kInputs = kPixels + kTaps - 1;
  // Every third pixel has a pointer; the two after it are reached by index.
  constexpr int kPointers = (kInputs + 2) / 3;
  const int64_t stride = arguments.pixel_stride;
  const uint8_t* pointers[kPointers];
  unrolled<kPointers>(
      [&](auto i) QCONV_INLINE { pointers[i] = tile.activation + run.offset + 3 * i * stride; });
  const int8_t* tap_weights[kTaps];
  unrolled<kTaps>([&](auto t) QCONV_INLINE {
    tap_weights[t] = weights.first + run.taps[t] * weights.tap_bytes;
  });
  for (int64_t quad = 0; quad < arguments.quads; ++quad) {
    __m512i w[kTaps];
    unrolled<kTaps>([&](auto t) QCONV_INLINE {
      w[t] = _mm512_loadu_si512(tap_weights[t]);
      tap_weights[t] += weights.quad_bytes;
    });
    unrolled<kInputs>([&](auto i) QCONV_INLINE {
      const __m512i activation = Quads::load(pointers[i / 3] + i % 3 * stride, tile.lanes);
      unrolled<kTaps>([&](auto t) QCONV_INLINE {
        constexpr int kPixel = i.value - t.value;
        if constexpr (kPixel >= 0 && kPixel < kPixels) {
          dot(sums[kPixel], activation, w[t]);
        }
      });
    });
    unrolled<kPointers>([&](auto i) QCONV_INLINE { pointers[i] += kQuad; });
  }
}

template <typename Quads, int kPixels>
inline QCONV_INLINE void sum_products(
    const DenseArguments& arguments, const GroupedTile& tile, const Weights& weights,
    __m512i (&sums)[kPixels]) {
  static_assert(TapRun::kMostTaps == 3);
  unrolled<kPixels>([&](auto p) QCONV_INLINE { sums[p] = _mm512_setzero_si512(); });
  for (int64_t i = 0; i < arguments.tap_run_count; ++i) {
    const TapRun& run = arguments.tap_runs[i];
    if (run.count == 3) {
      add_run<Quads, kPixels, 3>(arguments, tile, weights, run, sums);
    } else if (run.count == 2) {
      add_run<Quads, kPixels, 2>(arguments, tile, weights, run, sums);
    } else {
      add_run<Quads, kPixels, 1>(arguments, tile, weights, run, sums);
    }
  }
}

// Takes the weights' zero points times what they are multiplied with off sums in memory.
template <typename Quads, int kPixels>
__attribute__((noinline)) void subtract_zero_points(
    const DenseArguments& arguments, const GroupedTile& tile, int32_t (*sums)[kBlockColumns]) {
  alignas(64) int8_t ones[kQuad * kBlockColumns];
  std::memset(ones, 1, sizeof(ones));
  __m512i totals[kPixels];
  sum_products<Quads, kPixels>(arguments, tile, {ones, 0, 0}, totals);
  const __m512i factors = _mm512_loadu_si512(tile.zero_points);
  unrolled<kPixels>([&](auto p) QCONV_INLINE {
    const __m512i product = _mm512_mullo_epi32(totals[p], factors);
    _mm512_storeu_si512(sums[p], _mm512_sub_epi32(_mm512_loadu_si512(sums[p]), product));
  });
}

// All bytes of a tile that lies in one row.
template <int kPixels>
inline QCONV_INLINE void store_row(
    const DenseArguments& arguments, const GroupedTile& tile, const __m512i (&sums)[kPixels]) {
  const PackToBytes pack(arguments.requantization);
  const __m512 multiplier = _mm512_loadu_ps(tile.multiplier);
  const __m512 offset = _mm512_loadu_ps(tile.offset);
  uint8_t* place = tile.row;
  unrolled<(kPixels + 3) / 4>([&](auto group) QCONV_INLINE {
    const auto value = [&](auto i) QCONV_INLINE {
      constexpr int kPixel = 4 * group.value + i.value;
      return _mm512_cvtps_epi32(
          scaled(sums[kPixel < kPixels ? kPixel : kPixels - 1], multiplier, offset));
    };
    const __m512i bytes =
        pack(value(Index<0>()), value(Index<1>()), value(Index<2>()), value(Index<3>()));
    unrolled<4>([&](auto i) QCONV_INLINE {
      if constexpr (4 * group.value + i.value < kPixels) {
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(place), _mm512_extracti32x4_epi32(bytes, i.value));
        place += arguments.output.pixel_stride;
      }
    });
  });
}

template <typename Quads, int kPixels, Store kStore>
void compute_tile(const DenseArguments& arguments, const GroupedTile& tile) {
  constexpr int64_t kQuadBytes = kQuad * kBlockColumns;
  __m512i sums[kPixels];
  sum_products<Quads, kPixels>(
      arguments, tile, {tile.weight, kQuadBytes, arguments.quads * kQuadBytes}, sums);
  if (tile.zero_points != nullptr) {
    int32_t in_memory[kPixels][kBlockColumns];
    unrolled<kPixels>([&](auto p) QCONV_INLINE { _mm512_storeu_si512(in_memory[p], sums[p]); });
    subtract_zero_points<Quads, kPixels>(arguments, tile, in_memory);
    unrolled<kPixels>([&](auto p) QCONV_INLINE { sums[p] = _mm512_loadu_si512(in_memory[p]); });
  }
  if (kStore == Store::kBytes && tile.row != nullptr) {
    store_row<kPixels>(arguments, tile, sums);
  } else {
    finish_tile<kPixels, 1, kStore>(arguments, tile, sums);
  }
}

struct TileFunction {
  void (*compute)(const DenseArguments&, const GroupedTile&);
};

template <typename Quads, Store kStore, int... kIndex>
constexpr auto tile_functions(std::integer_sequence<int, kIndex...>) {
  return std::array{TileFunction{compute_tile<Quads, kIndex + 1, kStore>}...};
}

template <typename Quads, Store kStore>
constexpr auto kTileFunctions =
    tile_functions<Quads, kStore>(std::make_integer_sequence<int, kTilePixels>());

// Whether all pixels are stored, at one distance.
bool is_in_row(const OutputPlace& output, const Tile& tile, int pixels) {
  bool all = true;
  for (int p = 0; p < pixels; ++p) {
    all = all && tile.places[p] != nullptr;
  }
  return all && tile.places[pixels - 1] - tile.places[0] == (pixels - 1) * output.pixel_stride;
}

// The tiles of one range of pixels: all blocks of output channels.
template <Store kStore>
void compute_channels(const DenseArguments& arguments, GroupedTile& tile, int pixels) {
  const bool one_group = arguments.group_outputs == kBlockColumns;
  const TileFunction function =
      (one_group ? kTileFunctions<BroadcastQuad, kStore>
                 : kTileFunctions<SpreadQuads, kStore>)[static_cast<size_t>(pixels - 1)];
  const int64_t block_inputs = kBlockColumns / arguments.group_outputs * arguments.group_inputs;
  const bool in_row = is_in_row(arguments.output, tile, pixels);
  tile.weight = arguments.weight;
  tile.weight_zero_points = nullptr;  // taken off before the tile is finished
  for (int64_t channel = 0; channel < arguments.out_channels; channel += kBlockColumns) {
    const int64_t left = arguments.out_channels - channel;
    tile.out_channels = left < kBlockColumns ? left : kBlockColumns;
    tile.multiplier = arguments.requantization.multiplier + channel;
    tile.offset = arguments.requantization.offset + channel;
    tile.zero_points =
        arguments.weight_zero_points == nullptr ? nullptr : arguments.weight_zero_points + channel;
    const bool stores_row = kStore == Store::kBytes && in_row && left >= kBlockColumns;
    tile.row = stores_row ? tile.places[0] : nullptr;
    function.compute(arguments, tile);
    tile.activation += block_inputs;
    tile.weight += arguments.block_stride;
    advance(tile, kBlockColumns * element_bytes(kStore));
  }
}

template <Store kStore>
void grouped(const DenseArguments& arguments) {
  GroupedTile tile;
  tile.lanes = lanes_of(arguments);
  for_each_tile<kStore>(arguments, tile, [&](int pixels) QCONV_INLINE {
    compute_channels<kStore>(arguments, tile, pixels);
  });
}

}  // namespace

void grouped_avx512_vnni(const DenseArguments& arguments) {
  with_store(arguments.store, [&](auto store) __attribute__((always_inline)) {
    grouped<store>(arguments);
  });
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
