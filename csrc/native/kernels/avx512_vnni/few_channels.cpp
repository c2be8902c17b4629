// Dense convolution with AVX512-VNNI to few output channels.
//
// A vector of 16 output channels, as dense.cpp has them, would be mostly empty. Here the lanes of a
// vector are 1, 2, 4 or 8 output channels by as many quads as there is room for, and a tile is up
// to 14 pixels: a step is one load of weights and, for each pixel, a broadcast of these quads and
// one vpdpbusd. In the end each channel's lanes are added up. The weights are brought into that
// order once for all pixels of a call.
#include "native/kernels/avx512_vnni/few_channels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")

#include "native/kernels/avx512_vnni/tile.h"

namespace qconv::native {
namespace {

constexpr int64_t kMostChannels = 8;
constexpr int kLanes = 16;
constexpr int64_t kStepBytes = kLanes * kQuad;
// Weights in their new order, on the stack.
constexpr int64_t kMostWeightBytes = 32 * 1024;
// So many pixels make up for bringing them there.
constexpr int64_t kFewestPixels = 16;

// Vectors of kChannels output channels.
template <int kChannels>
struct Step {
  static constexpr int kQuads = kLanes / kChannels;

  // kQuads quads for every channel.
  static inline QCONV_INLINE __m512i broadcast(const uint8_t* values) {
    if constexpr (kChannels == 8) {
      int64_t quads;
      std::memcpy(&quads, values, sizeof(quads));
      return _mm512_set1_epi64(quads);
    } else if constexpr (kChannels == 4) {
      return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    } else if constexpr (kChannels == 2) {
      return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values)));
    } else {
      return _mm512_loadu_si512(values);
    }
  }

  // Only those of `mask`, zeros for the others; nothing else is read.
  static inline QCONV_INLINE __m512i broadcast(const uint8_t* values, __mmask16 mask) {
    const __m512i some = _mm512_maskz_loadu_epi32(mask, values);
    if constexpr (kChannels == 8) {
      return _mm512_broadcastq_epi64(_mm512_castsi512_si128(some));
    } else if constexpr (kChannels == 4) {
      return _mm512_broadcast_i32x4(_mm512_castsi512_si128(some));
    } else if constexpr (kChannels == 2) {
      return _mm512_broadcast_i64x4(_mm512_castsi512_si256(some));
    } else {
      return some;
    }
  }

  // Sums of each channel's lanes, as the first kChannels lanes.
  static inline QCONV_INLINE __m512i add_lanes(__m512i sums) {
    if constexpr (kQuads >= 16) {
      sums = _mm512_add_epi32(sums, _mm512_shuffle_i32x4(sums, sums, _MM_SHUFFLE(1, 0, 3, 2)));
    }
    if constexpr (kQuads >= 8) {
      sums = _mm512_add_epi32(sums, _mm512_shuffle_i32x4(sums, sums, _MM_SHUFFLE(2, 3, 0, 1)));
    }
    if constexpr (kQuads >= 4) {
      sums = _mm512_add_epi32(
          sums, _mm512_shuffle_epi32(sums, static_cast<_MM_PERM_ENUM>(_MM_SHUFFLE(1, 0, 3, 2))));
    }
    sums = _mm512_add_epi32(
        sums, _mm512_shuffle_epi32(sums, static_cast<_MM_PERM_ENUM>(_MM_SHUFFLE(2, 3, 0, 1))));
    constexpr int q = kQuads;
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(
            0, q % 16, 2 * q % 16, 3 * q % 16, 4 * q % 16, 5 * q % 16, 6 * q % 16, 7 * q % 16, 0, 0,
            0, 0, 0, 0, 0, 0),
        sums);
  }
};

template <int kPixels, int kChannels>
inline QCONV_INLINE void sum_products(
    const DenseArguments& arguments, const Tile& tile, __m512i (&sums)[kPixels]) {
  using Step = Step<kChannels>;
  unrolled<kPixels>([&](auto i) QCONV_INLINE { sums[i] = _mm512_setzero_si512(); });
  const int64_t stride = arguments.pixel_stride;
  const int64_t whole = arguments.used_quads / Step::kQuads;
  const auto rest = static_cast<__mmask16>((1 << arguments.used_quads % Step::kQuads) - 1);
  const int8_t* weight = tile.weight;
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    // Every third pixel has a pointer; the two after it are reached by index.
    constexpr int kPointers = (kPixels + 2) / 3;
    const uint8_t* pointers[kPointers];
    unrolled<kPointers>([&](auto i) QCONV_INLINE {
      pointers[i] = tile.activation + arguments.tap_offsets[tap] + 3 * i * stride;
    });
    for (int64_t step = 0; step < whole; ++step) {
      const __m512i weights = _mm512_load_si512(weight);
      weight += kStepBytes;
      unrolled<kPixels>([&](auto p) QCONV_INLINE {
        dot(sums[p], Step::broadcast(pointers[p / 3] + p % 3 * stride), weights);
      });
      unrolled<kPointers>([&](auto i) QCONV_INLINE { pointers[i] += Step::kQuads * kQuad; });
    }
    if (rest != 0) {
      const __m512i weights = _mm512_load_si512(weight);
      weight += kStepBytes;
      unrolled<kPixels>([&](auto p) QCONV_INLINE {
        dot(sums[p], Step::broadcast(pointers[p / 3] + p % 3 * stride, rest), weights);
      });
    }
  }
  const __m512i first =
      tile.first_sums == nullptr ? _mm512_setzero_si512() : _mm512_loadu_si512(tile.first_sums);
  unrolled<kPixels>(
      [&](auto i) QCONV_INLINE { sums[i] = _mm512_add_epi32(Step::add_lanes(sums[i]), first); });
}

template <int kPixels, int kChannels, Store kStore>
void compute_tile(const DenseArguments& arguments, const Tile& tile) {
  __m512i sums[kPixels];
  sum_products<kPixels, kChannels>(arguments, tile, sums);
  finish_tile<kPixels, 1, kStore>(arguments, tile, sums);
}

using TileFunction = void (*)(const DenseArguments&, const Tile&);

template <int kChannels, Store kStore, int... kIndex>
constexpr auto tile_functions(std::integer_sequence<int, kIndex...>) {
  return std::array<TileFunction, sizeof...(kIndex)>{
      compute_tile<kIndex + 1, kChannels, kStore>...};
}

// By the number of pixels, from 1 on.
template <int kChannels, Store kStore>
constexpr auto kTileFunctions =
    tile_functions<kChannels, kStore>(std::make_integer_sequence<int, kTilePixels>());

// Channels of a vector, and what that costs.
struct Choice {
  int channels = kLanes;
  double cost = 0;  // of a pixel, in steps
};

// The cheapest one; that of 16 channels is dense.cpp's.
Choice choose(const DenseArguments& arguments) {
  // Of a step whose quads are masked, and of adding up pairs of lanes.
  constexpr double kMasked = 2;
  constexpr double kAddLanes = 1.5;
  Choice best;
  best.cost = static_cast<double>(arguments.taps * arguments.used_quads);
  double lanes = 1;
  for (int channels = 8; channels >= arguments.out_channels; channels /= 2) {
    const int64_t quads = kLanes / channels;
    const int64_t whole = arguments.used_quads / quads;
    const int64_t masked = arguments.used_quads % quads != 0 ? 1 : 0;
    lanes += kAddLanes;
    const double cost =
        static_cast<double>(arguments.taps) * (static_cast<double>(whole) + kMasked * masked) +
        lanes;
    const int64_t bytes = arguments.taps * (whole + masked) * kStepBytes;
    if (cost < best.cost && bytes <= kMostWeightBytes) {
      best = {channels, cost};
    }
  }
  return best;
}

// The first kChannels columns of `quads` quads, in the order [channel][quad]; zeros for quads that
// a step lacks.
template <int kChannels>
inline QCONV_INLINE __m512i order_step(const int8_t* from, int64_t quads, int64_t quad_bytes) {
  constexpr int kQuads = Step<kChannels>::kQuads;
  constexpr auto place = [](int lane) { return lane % kQuads * kChannels + lane / kQuads; };
  // A load of what several stores wrote would wait for them: quads of 4 and 8 channels, few a step,
  // are put together in registers.
  constexpr int kLanesAtOnce = kChannels >= 4 ? kChannels : kLanes;
  __m512i packed = _mm512_setzero_si512();
  unrolled<kLanes / kLanesAtOnce>([&](auto part) QCONV_INLINE {
    int32_t lanes[kLanesAtOnce] = {};
    unrolled<kLanesAtOnce / kChannels>([&](auto i) QCONV_INLINE {
      constexpr int kPlace = part * (kLanesAtOnce / kChannels) + i;
      if (kPlace < quads) {
        std::memcpy(lanes + i * kChannels, from + kPlace * quad_bytes, kChannels * kQuad);
      }
    });
    if constexpr (kLanesAtOnce == 8) {
      packed = _mm512_inserti64x4(
          packed, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes)), part);
    } else if constexpr (kLanesAtOnce == kLanes) {
      packed = _mm512_loadu_si512(lanes);
    } else {
      packed = _mm512_inserti32x4(
          packed, _mm_loadu_si128(reinterpret_cast<const __m128i*>(lanes)), part);
    }
  });
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(
          place(0), place(1), place(2), place(3), place(4), place(5), place(6), place(7), place(8),
          place(9), place(10), place(11), place(12), place(13), place(14), place(15)),
      packed);
}

// [tap][step][channel][quad of the step].
template <int kChannels>
void order_weights(const DenseArguments& arguments, int8_t* to) {
  constexpr int64_t kQuads = Step<kChannels>::kQuads;
  const int64_t quad_bytes = kQuad * arguments.last_columns;
  const int64_t tap_bytes = arguments.k_blocks * arguments.quads * quad_bytes;
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    const int64_t place = arguments.tap_places == nullptr ? tap : arguments.tap_places[tap];
    const int8_t* from = arguments.weight + place * tap_bytes;
    for (int64_t left = arguments.used_quads; left > 0; left -= kQuads) {
      _mm512_store_si512(to, order_step<kChannels>(from, left, quad_bytes));
      from += kQuads * quad_bytes;
      to += kStepBytes;
    }
  }
}

template <int kChannels, Store kStore>
void compute(const DenseArguments& arguments) {
  alignas(64) int8_t weights[kMostWeightBytes];
  order_weights<kChannels>(arguments, weights);
  Tile tile;
  tile.weight = weights;
  tile.multiplier = arguments.requantization.multiplier;
  tile.offset = arguments.requantization.offset;
  tile.weight_zero_points = arguments.weight_zero_points;
  tile.first_sums = arguments.first_sums;
  tile.out_channels = arguments.out_channels;
  for_each_tile<kStore>(arguments, tile, [&](int pixels) QCONV_INLINE {
    kTileFunctions<kChannels, kStore>[static_cast<size_t>(pixels - 1)](arguments, tile);
  });
}

}  // namespace

bool dense_few_channels_avx512_vnni(const DenseArguments& arguments) {
  if (arguments.out_channels > kMostChannels || arguments.pixels < kFewestPixels) {
    return false;
  }
  const int channels = choose(arguments).channels;
  if (channels == kLanes) {
    return false;
  }
  with_store(arguments.store, [&](auto store) __attribute__((always_inline)) {
    channels == 1       ? compute<1, store>(arguments)
        : channels == 2 ? compute<2, store>(arguments)
        : channels == 4 ? compute<4, store>(arguments)
                        : compute<8, store>(arguments);
  });
  return true;
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
