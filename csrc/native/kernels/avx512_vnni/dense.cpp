// Dense convolution with AVX512-VNNI.
//
// A tile is up to 14 pixels by 2 blocks of 16 output channels: 28 of the 32 registers hold sums, 2
// the weights of a quad, 1 the broadcast quad of an activation. A step of the inner loop is one
// quad: 2 loads of weights, 14 broadcasts and 28 vpdpbusd, 64 multiply-adds each. Peak: as many
// vpdpbusd a cycle as the core has ports for (Intel servers 2, Zen 4 1).
#include "native/kernels/avx512_vnni/dense.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"
#include "native/kernels/avx512_vnni/few_channels.h"

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")

#include "native/kernels/avx512_vnni/tile.h"

namespace qconv::native {
namespace {

constexpr int64_t kLineQuads = 16;  // of a line of the cache

// Loops of their own, since an instruction more for each tap is felt where sums are short.
enum class Taps {
  kAll,         // those of the packed block
  kPlaced,      // some of them: tap_places
  kPrefetched,  // one; the next tile's pixels are fetched, of which the hardware sees no stream but
                // one for each
};

template <int kPixels, int kBlocks, Taps kTaps>
inline QCONV_INLINE void sum_products(
    const DenseArguments& arguments, const Tile& tile, __m512i (&sums)[kPixels * kBlocks]) {
  unrolled<kBlocks>([&](auto b) QCONV_INLINE {
    const __m512i first = tile.first_sums == nullptr
        ? _mm512_setzero_si512()
        : _mm512_loadu_si512(tile.first_sums + b * kBlockColumns);
    unrolled<kPixels>([&](auto p) QCONV_INLINE { sums[p * kBlocks + b] = first; });
  });
  const int64_t stride = arguments.pixel_stride;
  const int64_t padding_quads = arguments.k_blocks * arguments.quads - arguments.used_quads;
  const int8_t* weight0 = tile.weight;
  const int8_t* weight1 = tile.weight + arguments.block_stride;
  const int64_t bytes0 = tile.quad_bytes[0];
  const int64_t bytes1 = kBlocks == 2 ? tile.quad_bytes[1] : 0;
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    if constexpr (kTaps == Taps::kPlaced) {
      const int64_t quad = arguments.tap_places[tap] * arguments.k_blocks * arguments.quads;
      weight0 = tile.weight + quad * bytes0;
      weight1 = tile.weight + arguments.block_stride + quad * bytes1;
    }
    // Every third pixel has a pointer; the two after it are reached by index.
    constexpr int kPointers = (kPixels + 2) / 3;
    const uint8_t* pointers[kPointers];
    unrolled<kPointers>([&](auto i) QCONV_INLINE {
      pointers[i] = tile.activation + arguments.tap_offsets[tap] + 3 * i * stride;
    });
    for (int64_t quad = 0; quad < arguments.used_quads; ++quad) {
      if (kTaps == Taps::kPrefetched && quad % kLineQuads == 0) {
        unrolled<kPixels>([&](auto p) QCONV_INLINE {
          _mm_prefetch(
              reinterpret_cast<const char*>(pointers[p / 3] + (p % 3 + kPixels) * stride),
              _MM_HINT_T0);
        });
      }
      const __m512i w0 = _mm512_loadu_si512(weight0);
      const __m512i w1 = kBlocks == 2 ? _mm512_loadu_si512(weight1) : w0;
      weight0 += bytes0;
      weight1 += bytes1;
      unrolled<kPixels>([&](auto p) QCONV_INLINE {
        int32_t values;
        std::memcpy(&values, pointers[p / 3] + p % 3 * stride, sizeof(values));
        const __m512i activation = _mm512_set1_epi32(values);
        dot(sums[p * kBlocks], activation, w0);
        if constexpr (kBlocks == 2) {
          dot(sums[p * kBlocks + 1], activation, w1);
        }
      });
      unrolled<kPointers>([&](auto i) QCONV_INLINE { pointers[i] += kQuad; });
    }
    weight0 += padding_quads * bytes0;
    weight1 += padding_quads * bytes1;
  }
}

template <int kPixels, int kBlocks, Store kStore, Taps kTaps>
void compute_tile(const DenseArguments& arguments, const Tile& tile) {
  __m512i sums[kPixels * kBlocks];
  sum_products<kPixels, kBlocks, kTaps>(arguments, tile, sums);
  finish_tile<kPixels, kBlocks, kStore>(arguments, tile, sums);
}

using TileFunction = void (*)(const DenseArguments&, const Tile&);

template <int kBlocks, Store kStore, Taps kTaps, int... kIndex>
constexpr auto tile_functions(std::integer_sequence<int, kIndex...>) {
  return std::array<TileFunction, sizeof...(kIndex)>{
      compute_tile<kIndex + 1, kBlocks, kStore, kTaps>...};
}

// By the number of pixels, from 1 on.
template <int kBlocks, Store kStore, Taps kTaps>
constexpr auto kTileFunctions =
    tile_functions<kBlocks, kStore, kTaps>(std::make_integer_sequence<int, kTilePixels>());

// The tiles of one range of pixels: all blocks of output channels.
template <Store kStore, Taps kTaps>
void compute_channels(const DenseArguments& arguments, Tile& tile, int pixels) {
  const int64_t blocks = (arguments.out_channels + kBlockColumns - 1) / kBlockColumns;
  const bool fetches = kTaps == Taps::kAll && arguments.taps == 1 && pixels == kTilePixels &&
      arguments.comes_from_afar;
  for (int64_t block = 0; block < blocks;) {
    const int count = block + 1 < blocks ? 2 : 1;
    const int64_t channel = block * kBlockColumns;
    tile.weight = arguments.weight + block * arguments.block_stride;
    tile.multiplier = arguments.requantization.multiplier + channel;
    tile.offset = arguments.requantization.offset + channel;
    tile.weight_zero_points =
        arguments.weight_zero_points == nullptr ? nullptr : arguments.weight_zero_points + channel;
    tile.first_sums = arguments.first_sums == nullptr ? nullptr : arguments.first_sums + channel;
    const int64_t left = arguments.out_channels - channel;
    tile.out_channels = left < count * kBlockColumns ? left : count * kBlockColumns;
    for (int b = 0; b < count; ++b) {
      const bool last = block + b + 1 == blocks;
      tile.quad_bytes[b] = kQuad * (last ? arguments.last_columns : kBlockColumns);
    }
    if (count == 2 && fetches && block == 0) {
      compute_tile<kTilePixels, 2, kStore, Taps::kPrefetched>(arguments, tile);
    } else {
      const auto& functions =
          count == 2 ? kTileFunctions<2, kStore, kTaps> : kTileFunctions<1, kStore, kTaps>;
      functions[static_cast<size_t>(pixels - 1)](arguments, tile);
    }
    block += count;
    if (block < blocks) {
      advance(tile, count * kBlockColumns * element_bytes(kStore));
    }
  }
}

template <Store kStore, Taps kTaps>
void dense(const DenseArguments& arguments) {
  Tile tile;
  for_each_tile<kStore>(arguments, tile, [&](int pixels) QCONV_INLINE {
    compute_channels<kStore, kTaps>(arguments, tile, pixels);
  });
}

}  // namespace

void dense_avx512_vnni(const DenseArguments& arguments) {
  if (dense_few_channels_avx512_vnni(arguments)) {
    return;
  }
  with_store(arguments.store, [&](auto store) __attribute__((always_inline)) {
    arguments.tap_places == nullptr ? dense<store, Taps::kAll>(arguments)
                                    : dense<store, Taps::kPlaced>(arguments);
  });
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
