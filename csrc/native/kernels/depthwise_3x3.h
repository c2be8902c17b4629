// 3x3 kernels, stride 1 and 2, for instruction sets with 32 registers: a part of
// depthwise_vectors.h.
//
// Bundles stay in registers. Every column of the input is loaded and interleaved once and at once
// multiplied by the weights of all the kernel's columns, so that the sums of up to three columns of
// output are under way. Weights are operands in memory.
//
// Stride 1, two rows of output at a time: 24 registers of sums and 4 of a bundle. A column takes 4
// loads, 8 interleavings, 24 dot products, and 38 instructions from sums to bytes, for 128 outputs.
// Stride 2, one row: a column of output takes 6 loads, 16 interleavings, 12 dot products, and 19
// instructions from sums to bytes, for 64 outputs.

#include "native/kernels/depthwise_block.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

// Stores the sums of kRows outputs of a column, which come one of the four vectors after the other:
// as bytes, together, or as they are, at once. offset: elements from column 0.
template <typename Isa, int kRows, Store kStore>
class Packer {
 public:
  using Vector = typename Isa::Vector;
  inline QCONV_INLINE Packer(const Block& block, int64_t offset)
      : block_(block), factors_(block.factors), offset_(offset) {}

  template <int kVector>
  inline QCONV_INLINE void add(const Vector (&sums)[kRows]) {
    if constexpr (kStore == Store::kSums) {
      unrolled<kRows>([&](auto row) QCONV_INLINE {
        store_sums<Isa>(block_, row.value, offset_, kVector, sums[row]);
      });
      return;
    }
    const Vector multiplier = factor(kMultiplier + kVector);
    const Vector offset = factor(kOffset + kVector);
    unrolled<kRows>([&](auto row) QCONV_INLINE {
      const Vector value = Isa::round(sums[row], multiplier, offset);
      if constexpr (kVector % 2 == 0) {
        even_[row] = value;
      } else {
        const Vector pair = Isa::words(even_[row], value, factor(kShift));
        words_[row] = kVector == 1
            ? pair
            : Isa::clamp(Isa::bytes(words_[row], pair), factor(kRange), factor(kLow));
      }
    });
  }
  // When all four were added.
  inline QCONV_INLINE Vector bytes(int row) const { return words_[row]; }

 private:
  inline QCONV_INLINE Vector factor(int place) const {
    return Isa::load_once(factors_ + place * Isa::kChannels);
  }

  const Block& block_;
  const uint8_t* factors_;
  int64_t offset_;
  Vector even_[kRows];
  Vector words_[kRows];
};

// Adds one column of the input to the sums: the first of the window of output column 3 n + kPhase,
// and the last of the one two before it. The flags say which of the three outputs exist; `sums` are
// those of the output columns whose number modulo 3 is the index.
template <
    typename Isa, int kRows, Store kStore, int kPhase, bool kHasFirst, bool kHasMiddle,
    bool kHasLast>
inline QCONV_INLINE void add_column(
    typename Isa::Vector (&sums)[3][kVectors][kRows],
    const typename Isa::Vector (&bundle)[kVectors], const uint8_t* weights,
    Packer<Isa, kRows, kStore>& packer) {
  constexpr int kMiddle = (kPhase + 2) % 3;
  constexpr int kLast = (kPhase + 1) % 3;
  unrolled<kVectors>([&](auto v) QCONV_INLINE {
    constexpr int64_t kTapBytes = 2 * Isa::kChannels;
    constexpr int64_t kTaps = v.value * 3 * kTapBytes;
    if constexpr (kHasLast) {
      unrolled<kRows>([&](auto row) QCONV_INLINE {
        Isa::template dot_memory<kTaps + 2 * kTapBytes + row.value * Isa::kChannels>(
            sums[kLast][v][row], bundle[v], weights);
      });
      packer.template add<v.value>(sums[kLast][v]);
    }
    unrolled<kRows>([&](auto row) QCONV_INLINE {
      constexpr int64_t kRowTaps = kTaps + row.value * Isa::kChannels;
      if constexpr (kHasMiddle) {
        Isa::template dot_memory<kRowTaps + kTapBytes>(sums[kMiddle][v][row], bundle[v], weights);
      }
      if constexpr (kHasFirst) {
        sums[kPhase][v][row] = Isa::zero();
        Isa::template dot_memory<kRowTaps>(sums[kPhase][v][row], bundle[v], weights);
      }
    });
  });
}

// Both of the output rows that block.plan computes together, or the first of them only.
template <typename Isa, int kParts, int kRows, Store kStore>
__attribute__((noinline)) void compute_rows_3x3(const Block& block) {
  using Vector = typename Isa::Vector;
  const BundleReader<Isa, kParts> reader(block, 0);
  const PixelWriter first_writer(block, 0);
  const PixelWriter last_writer(block, kRows - 1);
  const uint8_t* const weights = block.weights[DepthwisePlan::kBoth];
  const int64_t output_columns = block.arguments->output_columns;
  const int64_t input_stride = block.arguments->input_pixel_stride;
  const int64_t output_stride = block.arguments->output_pixel_stride;
  int64_t column = -block.arguments->padding;
  int64_t offset = column * input_stride;
  int64_t output_offset = -2 * output_stride;
  Vector sums[3][kVectors][kRows];
  const auto step = [&](auto phase, auto first, auto middle, auto last) QCONV_INLINE {
    Vector bundle[kVectors];
    reader.read(column, offset, bundle);
    Packer<Isa, kRows, kStore> packer(block, output_offset);
    add_column<Isa, kRows, kStore, phase.value, first.value, middle.value, last.value>(
        sums, bundle, weights, packer);
    if constexpr (last.value && kStore == Store::kBytes) {
      first_writer.template write<Isa, kParts>(output_offset, packer.bytes(0));
      if constexpr (kRows == 2) {
        last_writer.template write<Isa, kParts>(output_offset, packer.bytes(1));
      }
    }
    ++column;
    offset += input_stride;
    output_offset += output_stride;
  };
  constexpr Index<1> kYes;
  constexpr Index<0> kNo;
  step(Index<0>(), kYes, kNo, kNo);
  step(Index<1>(), kYes, kYes, kNo);
  int64_t position = 2;
  for (; position + 3 <= output_columns; position += 3) {
    step(Index<2>(), kYes, kYes, kYes);
    step(Index<0>(), kYes, kYes, kYes);
    step(Index<1>(), kYes, kYes, kYes);
  }
  for (; position < output_columns + 2; ++position) {
    if (position < output_columns) {
      step(Index<2>(), kYes, kYes, kYes);
    } else if (position == output_columns) {
      step(Index<2>(), kNo, kYes, kYes);
    } else {
      step(Index<2>(), kNo, kNo, kYes);
    }
    // As if the step's phase were that of the one after it.
    unrolled<kRows>([&](auto row) QCONV_INLINE {
      unrolled<kVectors>([&](auto v) QCONV_INLINE {
        sums[0][v][row] = sums[1][v][row];
        sums[1][v][row] = sums[2][v][row];
      });
    });
  }
}

// The products of one of the four vectors with a column of the kernel.
template <typename Isa, int kVector, int kTap>
inline QCONV_INLINE void add_tap(
    typename Isa::Vector& sum, typename Isa::Vector bundle, const uint8_t* weights) {
  Isa::template dot_memory<(kVector * 3 + kTap) * Isa::kChannels>(sum, bundle, weights);
}

template <typename Isa, int kParts, Store kStore>
__attribute__((noinline)) void compute_rows_3x3_stride_2(const Block& block) {
  using Vector = typename Isa::Vector;
  const BundleReader<Isa, kParts> reader(block, 0);
  const PixelWriter writer(block, 0);
  const uint8_t* const weights = block.weights[DepthwisePlan::kFirst];
  const int64_t output_columns = block.arguments->output_columns;
  const int64_t input_stride = block.arguments->input_pixel_stride;
  const int64_t output_stride = block.arguments->output_pixel_stride;
  int64_t column = -block.arguments->padding;
  int64_t offset = column * input_stride;
  int64_t output_offset = 0;
  Vector sums[kVectors][1];
  Vector bundle[kVectors];
  reader.read(column, offset, bundle);
  unrolled<kVectors>([&](auto v) QCONV_INLINE {
    sums[v][0] = Isa::zero();
    add_tap<Isa, v.value, 0>(sums[v][0], bundle[v], weights);
  });
  for (int64_t i = 0; i < output_columns; ++i) {
    reader.read(column + 1, offset + input_stride, bundle);
    unrolled<kVectors>(
        [&](auto v) QCONV_INLINE { add_tap<Isa, v.value, 1>(sums[v][0], bundle[v], weights); });
    column += 2;
    offset += 2 * input_stride;
    reader.read(column, offset, bundle);
    Packer<Isa, 1, kStore> packer(block, output_offset);
    unrolled<kVectors>([&](auto v) QCONV_INLINE {
      add_tap<Isa, v.value, 2>(sums[v][0], bundle[v], weights);
      packer.template add<v.value>(sums[v]);
      sums[v][0] = Isa::zero();
      add_tap<Isa, v.value, 0>(sums[v][0], bundle[v], weights);
    });
    if constexpr (kStore == Store::kBytes) {
      writer.template write<Isa, kParts>(output_offset, packer.bytes(0));
    }
    output_offset += output_stride;
  }
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
