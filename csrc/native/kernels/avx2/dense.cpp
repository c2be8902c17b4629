// Dense convolution with AVX2, exact: vpmaddubsw, which multiplies bytes, saturates, so both
// factors are widened to 16 bits.
//
// Tiles of tile.h: 6 pixels by 16 output channels. Activations come widened. Weights are widened
// into a panel, once for all pixels of a call, in an order that makes a step of the inner loop two
// values of k: 2 loads of weights, 6 broadcasts, 12 vpmaddwd of 16 multiply-adds each, 12 vpaddd.
// Peak: 3 vector instructions a cycle (Intel) are 24 multiply-adds, 2 vpmaddwd and 2 vpaddd (Zen 3
// and later) 32.
#include "native/kernels/avx2/dense.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/panel.h"
#include "native/kernels/avx2/tile.h"

namespace qconv::native {
namespace {

struct DotWide : DenseProducts<DotWide> {
  using Element = uint16_t;
  static constexpr int kStepsPerTurn = 2;  // a quad

  // As intrinsics, gcc adds up the products of neighbouring steps first and runs out of registers.
  // Like this, sums, weights and temporaries of the largest tile take exactly the 16 that there
  // are.
  static inline QCONV_INLINE void add(
      __m256i (&sums)[1], const StepValues& values, const __m256i (&weights)[1]) {
    __m256i products;
    __asm__(
        "vpbroadcastd %2, %1\n\t"
        "vpmaddwd %3, %1, %1\n\t"
        "vpaddd %1, %0, %0"
        : "+x"(sums[0]), "=&x"(products)
        : "m"(values), "x"(weights[0]));
  }

  static inline QCONV_INLINE void add(
      __m256i (&sums)[2], const StepValues& values, const __m256i (&weights)[2]) {
    __m256i broadcast;
    __m256i products;
    __asm__(
        "vpbroadcastd %4, %2\n\t"
        "vpmaddwd %5, %2, %3\n\t"
        "vpmaddwd %6, %2, %2\n\t"
        "vpaddd %3, %0, %0\n\t"
        "vpaddd %2, %1, %1"
        : "+x"(sums[0]), "+x"(sums[1]), "=&x"(broadcast), "=&x"(products)
        : "m"(values), "x"(weights[0]), "x"(weights[1]));
  }
};

struct Scratch {
  alignas(64) uint8_t panel[kPanelQuads * kQuadSteps * kPanelStepBytes];
  alignas(64) int32_t sums[kGroupPixels * kBlockColumns];
};

// A stretch of the sum: some quads of some taps, all or only a part of the quads of one tap.
struct Stretch {
  int64_t tap, taps;
  int64_t quad, quads;
};

// Widens the weights of a stretch: [tap][quad][k 0 and 1, k 2 and 3][16 output channels][2 k].
void fill_panel(
    const DenseArguments& arguments, const int8_t* weight, int64_t columns, const Stretch& stretch,
    uint8_t* panel) {
  const int64_t quad_bytes = kQuad * columns;
  const int64_t tap_bytes = arguments.k_blocks * arguments.quads * quad_bytes;
  for (int64_t tap = stretch.tap; tap < stretch.tap + stretch.taps; ++tap) {
    const int64_t place = arguments.tap_places == nullptr ? tap : arguments.tap_places[tap];
    const int8_t* const from = weight + place * tap_bytes + stretch.quad * quad_bytes;
    panel = widen_quads(from, stretch.quads, quad_bytes, panel);
  }
}

// Calls body(stretch, whether it is the last one) for stretches that fit the panel, about equally
// long.
template <typename Body>
inline QCONV_INLINE void for_each_stretch(int64_t taps, int64_t quads, const Body& body) {
  if (quads > kPanelQuads) {
    const int64_t parts = (quads + kPanelQuads - 1) / kPanelQuads;
    const int64_t part = (quads + parts - 1) / parts;
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t quad = 0; quad < quads; quad += part) {
        const int64_t count = quads - quad < part ? quads - quad : part;
        body(Stretch{tap, 1, quad, count}, tap + 1 == taps && quad + count == quads);
      }
    }
    return;
  }
  const int64_t most = quads == 0 ? taps : kPanelQuads / quads;
  const int64_t parts = (taps + most - 1) / most;
  const int64_t part = (taps + parts - 1) / parts;
  for (int64_t tap = 0; tap < taps; tap += part) {
    const int64_t count = taps - tap < part ? taps - tap : part;
    body(Stretch{tap, count, 0, quads}, tap + count == taps);
  }
}

// One block of output channels, pixels [begin, end).
template <Store kStore>
void compute_block(
    const DenseArguments& arguments, int64_t channel, int64_t begin, int64_t end,
    Scratch& scratch) {
  Block block = block_at(arguments, channel);
  const auto* const weight = static_cast<const int8_t*>(block.weight);
  block.weight = scratch.panel;
  bool adds = false;
  for_each_stretch(
      arguments.taps, arguments.used_quads, [&](const Stretch& stretch, bool last) QCONV_INLINE {
        fill_panel(arguments, weight, columns_at(arguments, channel), stretch, scratch.panel);
        block.depth = {
            .tap_offsets = arguments.tap_offsets + stretch.tap,
            .tap_places = nullptr,
            .offset = stretch.quad * kQuad,
            .taps = stretch.taps,
            .steps = stretch.quads * kQuadSteps,
            .weight_step_bytes = kPanelStepBytes,
            .weight_tap_bytes = 0,
        };
        compute_pixels<DotWide, kStore>(
            arguments, block, channel, begin, end, scratch.sums, adds, last);
        adds = true;
      });
}

}  // namespace

void dense_avx2(const DenseArguments& arguments) {
  Scratch scratch;
  for_each_group(arguments.pixels, [&](int64_t begin, int64_t end) QCONV_INLINE {
    for (int64_t channel = 0; channel < arguments.out_channels; channel += kBlockColumns) {
      with_store(arguments.store, [&](auto store) QCONV_INLINE {
        compute_block<store>(arguments, channel, begin, end, scratch);
      });
    }
  });
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
