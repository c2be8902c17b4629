#pragma once

// What grouped kernels on 256-bit vectors share, with the tiles and stores of tile.h. Included as
// that is, below a target pragma.
//
// A tile is up to 8 pixels by 8 output channels, half a block. A `Dot` has an Element, and
// Dot::add(sum, values, weights) for vectors of 8 steps of 4 bytes. Registers: 8 hold sums, 3 the
// weights of a step of the taps of a run, 1 the values of a pixel, which are spread over the output
// channels once for all taps of the run, 1 how they are, 1 or 2 are for Dot.

#include "native/kernels/avx2/tile.h"

namespace qconv::native {
namespace {

// Of blocks of several groups: a step's values of each group, in the lanes of its output channels.
struct SpreadValues {
  static inline QCONV_INLINE __m256i load(const void* values, const __m256i& lanes) {
    const __m128i all = _mm_loadu_si128(static_cast<const __m128i*>(values));
    return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(all), lanes);
  }
};

// Of blocks of one group.
struct BroadcastValues {
  static inline QCONV_INLINE __m256i load(const void* values, const __m256i&) {
    return _mm256_set1_epi32(*static_cast<const StepValues*>(values));
  }
};

template <typename Dot, typename Values>
struct GroupedProducts {
  using Element = typename Dot::Element;
  static constexpr int kTilePixels = 8;
  static constexpr int kTileVectors = 1;

  template <int kPixels>
  static inline QCONV_INLINE void add_products(
      const Block& block, const Element* activation, __m256i (&sums)[kPixels][1]) {
    static_assert(TapRun::kMostTaps == 3);
    for (int64_t i = 0; i < block.grouped.run_count; ++i) {
      const TapRun& run = block.grouped.runs[i];
      if (run.count == 3) {
        add_run<kPixels, 3>(block, activation, run, sums);
      } else if (run.count == 2) {
        add_run<kPixels, 2>(block, activation, run, sums);
      } else {
        add_run<kPixels, 1>(block, activation, run, sums);
      }
    }
  }

 private:
  template <int kPixels, int kTaps>
  static inline QCONV_INLINE void add_run(
      const Block& block, const Element* activation, const TapRun& run,
      __m256i (&sums)[kPixels][1]) {
    constexpr int64_t kStepElements = sizeof(StepValues) / sizeof(Element);
    constexpr int kInputs = kPixels + kTaps - 1;
    // Every third pixel has a pointer; the two after it are reached by index.
    constexpr int kPointers = (kInputs + 2) / 3;
    const int64_t stride = block.pixel_stride;
    const Element* pointers[kPointers];
    unrolled<kPointers>(
        [&](auto i) QCONV_INLINE { pointers[i] = activation + run.offset + 3 * i.value * stride; });
    const uint8_t* tap_weights[kTaps];
    unrolled<kTaps>([&](auto t) QCONV_INLINE {
      tap_weights[t] =
          static_cast<const uint8_t*>(block.weight) + run.taps[t] * block.grouped.weight_tap_bytes;
    });
    const __m256i lanes = block.grouped.lanes;
    for (int64_t step = 0; step < block.grouped.steps; ++step) {
      __m256i weights[kTaps];
      unrolled<kTaps>([&](auto t) QCONV_INLINE {
        weights[t] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tap_weights[t]));
        tap_weights[t] += block.grouped.weight_step_bytes;
      });
      unrolled<kInputs>([&](auto i) QCONV_INLINE {
        const __m256i values = Values::load(pointers[i / 3] + i % 3 * stride, lanes);
        unrolled<kTaps>([&](auto t) QCONV_INLINE {
          constexpr int kPixel = i.value - t.value;
          if constexpr (kPixel >= 0 && kPixel < kPixels) {
            Dot::add(sums[kPixel][0], values, weights[t]);
          }
        });
      });
      unrolled<kPointers>([&](auto i) QCONV_INLINE { pointers[i] += kStepElements; });
    }
  }
};

// Sums of a group of pixels, [pixel][16], and of what their weights are multiplied with.
struct GroupedSums {
  alignas(64) int32_t sums[(kGroupPixels + 1) * kBlockColumns];
  alignas(64) int32_t totals[(kGroupPixels + 1) * kBlockColumns];
};

// Takes the weights' zero points times the totals off the sums.
__attribute__((noinline)) void subtract_zero_points(
    const int32_t* zero_points, int64_t pixels, GroupedSums& sums, int64_t column) {
  const __m256i factors = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(zero_points));
  for (int64_t p = 0; p < pixels; ++p) {
    auto* const sum = reinterpret_cast<__m256i*>(sums.sums + p * kBlockColumns + column);
    const auto* const total =
        reinterpret_cast<const __m256i*>(sums.totals + p * kBlockColumns + column);
    const __m256i product = _mm256_mullo_epi32(_mm256_loadu_si256(total), factors);
    _mm256_storeu_si256(sum, _mm256_sub_epi32(_mm256_loadu_si256(sum), product));
  }
}

// A stretch of the sums of one block of output channels, from `channel` on, and of pixels
// [begin, end), at most kGroupPixels. `weight`: of the block, with tap numbers and distances as
// `depth` has them. The first stretch doesn't `add`.
template <typename Products, Store kStore>
inline QCONV_INLINE void compute_grouped_block(
    const DenseArguments& arguments, const void* weight, const GroupedDepth& depth, int64_t channel,
    int64_t begin, int64_t end, GroupedSums& sums, bool adds, bool last) {
  using Element = typename Products::Element;
  alignas(32) Element ones[sizeof(__m256i) / sizeof(Element)];
  for (Element& one : ones) {
    one = 1;
  }
  for (int64_t column = 0; column < kBlockColumns && channel + column < arguments.out_channels;
       column += kVectorColumns) {
    const int64_t first = channel + column;
    const int64_t left = arguments.out_channels - first;
    DenseArguments half = arguments;
    half.activation = static_cast<const Element*>(arguments.activation) +
        first / arguments.group_outputs * arguments.group_inputs;
    half.weight_zero_points = nullptr;
    Block block = block_at(half, first);
    block.channels = left < kVectorColumns ? left : kVectorColumns;
    block.grouped = depth;
    block.weight = static_cast<const uint8_t*>(weight) + column * kStepBytes;
    const bool finishes = last && arguments.weight_zero_points == nullptr;
    compute_pixels<Products, kStore>(
        half, block, first, begin, end, sums.sums + column, adds, finishes);
    if (arguments.weight_zero_points != nullptr) {
      block.weight = ones;
      block.grouped.weight_step_bytes = 0;
      block.grouped.weight_tap_bytes = 0;
      compute_pixels<Products, kStore>(
          half, block, first, begin, end, sums.totals + column, adds, false);
      if (last) {
        subtract_zero_points(arguments.weight_zero_points + first, end - begin, sums, column);
        finish_pixels<Products, kStore>(half, block, first, begin, end, sums.sums + column);
      }
    }
  }
}

// Calls body(Values of the call's groups), as a type.
template <typename Body>
inline QCONV_INLINE void with_values(const DenseArguments& arguments, const Body& body) {
  arguments.group_outputs >= kVectorColumns ? body(BroadcastValues()) : body(SpreadValues());
}

// Which of a load's 4 bytes each of 8 output channels reads, with elements of so many bytes.
inline QCONV_INLINE __m256i lanes_of(const DenseArguments& arguments, int64_t element_bytes) {
  int32_t lanes[kVectorColumns];
  for (int64_t c = 0; c < kVectorColumns; ++c) {
    lanes[c] = static_cast<int32_t>(
        c / arguments.group_outputs * arguments.group_inputs * element_bytes / kStepBytes);
  }
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes));
}

// Kernels that take weights as they are packed and activations as they are.
template <typename Dot>
inline QCONV_INLINE void grouped_unwidened(const DenseArguments& arguments) {
  constexpr int64_t kQuadBytes = kQuad * kBlockColumns;
  const GroupedDepth depth{
      .runs = arguments.tap_runs,
      .run_count = arguments.tap_run_count,
      .steps = arguments.quads,
      .weight_step_bytes = kQuadBytes,
      .weight_tap_bytes = arguments.quads * kQuadBytes,
      .lanes = lanes_of(arguments, 1),
  };
  GroupedSums sums;
  for_each_group(arguments.pixels, [&](int64_t begin, int64_t end) QCONV_INLINE {
    for (int64_t channel = 0; channel < arguments.out_channels; channel += kBlockColumns) {
      const int8_t* const weight =
          arguments.weight + channel / kBlockColumns * arguments.block_stride;
      with_values(arguments, [&](auto values) QCONV_INLINE {
        with_store(arguments.store, [&](auto store) QCONV_INLINE {
          compute_grouped_block<GroupedProducts<Dot, decltype(values)>, store>(
              arguments, weight, depth, channel, begin, end, sums, false, true);
        });
      });
    }
  });
}

}  // namespace
}  // namespace qconv::native
