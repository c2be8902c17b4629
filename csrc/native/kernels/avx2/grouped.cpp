// Grouped convolution with AVX2, exact: both factors are widened to 16 bits, as in dense.cpp. Tiles
// of grouped_tile.h. For a run of 3 taps, a step of 2 inputs is 3 loads of weights, 10 loads of
// activations, 10 vpermd where a block has several groups, 24 vpmaddwd, 16 multiply-adds each, and
// 24 vpaddd. Peak: that of dense.cpp.
#include "native/kernels/avx2/grouped.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/grouped_tile.h"
#include "native/kernels/avx2/panel.h"

namespace qconv::native {
namespace {

struct GroupedDotWide {
  using Element = uint16_t;

  // In assembly as in dense.cpp.
  static inline QCONV_INLINE void add(__m256i& sum, __m256i values, __m256i weights) {
    __m256i products;
    __asm__(
        "vpmaddwd %3, %2, %1\n\t"
        "vpaddd %1, %0, %0"
        : "+x"(sum), "=&x"(products)
        : "x"(values), "x"(weights));
  }
};

struct Scratch {
  alignas(64) uint8_t panel[kPanelQuads * kQuadSteps * kPanelStepBytes];
  TapRun runs[kPanelQuads];
  GroupedSums sums;
};

// Widens the weights of as many runs from `first` on as the panel has room for, and numbers their
// taps as they follow each other there. Returns how many runs that are.
int64_t fill_panel(
    const DenseArguments& arguments, const int8_t* weight, int64_t first, Scratch& scratch) {
  constexpr int64_t kQuadBytes = kQuad * kBlockColumns;
  uint8_t* panel = scratch.panel;
  int64_t taps = 0;
  int64_t runs = 0;
  for (; first + runs < arguments.tap_run_count; ++runs) {
    TapRun& run = scratch.runs[runs];
    run = arguments.tap_runs[first + runs];
    if ((taps + run.count) * arguments.quads > kPanelQuads) {
      break;
    }
    for (int64_t i = 0; i < run.count; ++i) {
      const int8_t* const quads = weight + run.taps[i] * arguments.quads * kQuadBytes;
      panel = widen_quads(quads, arguments.quads, kQuadBytes, panel);
      run.taps[i] = taps++;
    }
  }
  return runs;
}

template <typename Values, Store kStore>
void compute_block(
    const DenseArguments& arguments, int64_t channel, int64_t begin, int64_t end,
    Scratch& scratch) {
  const int8_t* const weight = arguments.weight + channel / kBlockColumns * arguments.block_stride;
  for (int64_t first = 0; first < arguments.tap_run_count;) {
    const int64_t runs = fill_panel(arguments, weight, first, scratch);
    const GroupedDepth depth{
        .runs = scratch.runs,
        .run_count = runs,
        .steps = arguments.quads * kQuadSteps,
        .weight_step_bytes = kPanelStepBytes,
        .weight_tap_bytes = arguments.quads * kQuadSteps * kPanelStepBytes,
        .lanes = lanes_of(arguments, sizeof(uint16_t)),
    };
    compute_grouped_block<GroupedProducts<GroupedDotWide, Values>, kStore>(
        arguments, scratch.panel, depth, channel, begin, end, scratch.sums, first != 0,
        first + runs == arguments.tap_run_count);
    first += runs;
  }
}

}  // namespace

void grouped_avx2(const DenseArguments& arguments) {
  Scratch scratch;
  for_each_group(arguments.pixels, [&](int64_t begin, int64_t end) QCONV_INLINE {
    for (int64_t channel = 0; channel < arguments.out_channels; channel += kBlockColumns) {
      with_values(arguments, [&](auto values) QCONV_INLINE {
        with_store(arguments.store, [&](auto store) QCONV_INLINE {
          compute_block<decltype(values), store>(arguments, channel, begin, end, scratch);
        });
      });
    }
  });
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
