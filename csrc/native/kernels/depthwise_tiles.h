// Any depthwise convolution, by way of a buffer of bundles: a part of depthwise_vectors.h.
//
// A tile of 2 rows by 4 columns (1 by 4 with 16 registers) has 8 (4) registers of sums, and twice
// as many of what the vectors before became; 2 (1) hold weights and 1 a bundle. A tap takes 6 (5)
// loads for 8 (4) dot products. Peak: as many dot products a cycle as the core has ports for,
// beside 19 instructions from sums to bytes for each vector of output and 8 interleavings (6 of
// words) for each bundle.

#include "native/kernels/depthwise_block.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

// The bundles at positions [begin, end): input columns, the left padding counted.
template <typename Isa, int kParts>
__attribute__((noinline)) void make_bundles(
    const Block& block, int64_t begin, int64_t end, uint8_t* to) {
  int64_t phase = begin % block.stride;
  int64_t column = begin - block.arguments->padding;
  int64_t offset = column * block.arguments->input_pixel_stride;
  for (int64_t position = begin; position < end; ++position) {
    const uint8_t* const needed = block.plan->positions + phase * block.bundle_count;
    for (int64_t b = 0; b < block.bundle_count; ++b, to += kVectors * Isa::kChannels) {
      if (needed[b] != 0) {
        typename Isa::Vector bundle[kVectors];
        BundleReader<Isa, kParts>(block, b).read(column, offset, bundle);
        unrolled<kVectors>([&](auto v)
                               QCONV_INLINE { Isa::store(to + v * Isa::kChannels, bundle[v]); });
      }
    }
    ++column;
    offset += block.arguments->input_pixel_stride;
    phase = phase + 1 == block.stride ? 0 : phase + 1;
  }
}

// sums[row][column] += products of one of the four vectors.
template <typename Isa, int kRows, int kColumns, int kUsedRows, int kFirstRow>
inline QCONV_INLINE void add_products(
    typename Isa::Vector (&sums)[kRows * kColumns], const uint8_t* bundles, int64_t column_bytes,
    const int64_t* offsets, int64_t taps, const uint8_t* weight, int64_t weight_step) {
  using Vector = typename Isa::Vector;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const uint8_t* const at = bundles + offsets[tap];
    Vector weights[kUsedRows];
    unrolled<kUsedRows>(
        [&](auto row) QCONV_INLINE { weights[row] = Isa::load(weight + row * Isa::kChannels); });
    weight += weight_step;
    unrolled<kColumns>([&](auto column) QCONV_INLINE {
      const Vector bundle = Isa::load(at + column * column_bytes);
      unrolled<kUsedRows>([&](auto row) QCONV_INLINE {
        Isa::dot(sums[(kFirstRow + row) * kColumns + column], bundle, weights[row]);
      });
    });
  }
}

// The sums of rows [kFirstRow, kFirstRow + kRows) of a tile.
template <typename Isa, int kFirstRow, int kRows, int kColumns>
inline QCONV_INLINE void sum_taps(
    typename Isa::Vector (&sums)[kRows * kColumns], const Block& block,
    uint8_t* const (&weights)[kUsers], const uint8_t* bundles, int v) {
  constexpr int64_t kBytes = Isa::kChannels;
  const int64_t column_bytes = block.stride * block.position_bytes;
  const int64_t* const counts = block.tap_counts;
  unrolled<kRows * kColumns>([&](auto i) QCONV_INLINE { sums[i] = Isa::zero(); });
  bundles += v * kBytes;
  add_products<Isa, kRows, kColumns, kRows, 0>(
      sums, bundles, column_bytes, block.tap_offsets[0], counts[0],
      weights[0] + (v * counts[0] * 2 + kFirstRow) * kBytes, 2 * kBytes);
  if constexpr (kFirstRow == 0) {
    add_products<Isa, kRows, kColumns, 1, 0>(
        sums, bundles, column_bytes, block.tap_offsets[1], counts[1],
        weights[1] + v * counts[1] * kBytes, kBytes);
  }
  if constexpr (kFirstRow + kRows == 2) {
    add_products<Isa, kRows, kColumns, 1, kRows - 1>(
        sums, bundles, column_bytes, block.tap_offsets[2], counts[2],
        weights[2] + v * counts[2] * kBytes, kBytes);
  }
}

// Output columns [column, column + kColumns), whose bundles start at `bundles`, of rows
// [kFirstRow, kFirstRow + kRows).
template <typename Isa, Store kStore, int kFirstRow, int kRows, int kColumns>
__attribute__((noinline)) void compute_tile(
    const Block& block, const uint8_t* bundles, int64_t column) {
  using Vector = typename Isa::Vector;
  constexpr int kSums = kRows * kColumns;
  Vector even[kSums];
  Vector words[kSums];
  unrolled<kVectors>([&](auto v) QCONV_INLINE {
    constexpr int64_t kPlace = v.value * Isa::kChannels;
    Vector sums[kSums];
    sum_taps<Isa, kFirstRow, kRows, kColumns>(sums, block, block.weights, bundles, v);
    const int64_t stride = block.arguments->output_pixel_stride;
    if constexpr (kStore == Store::kSums) {
      unrolled<kSums>([&](auto i) QCONV_INLINE {
        store_sums<Isa>(
            block, kFirstRow + i / kColumns, (column + i % kColumns) * stride, v.value, sums[i]);
      });
      return;
    }
    const Vector multiplier = Isa::load(block.factors + kMultiplier * Isa::kChannels + kPlace);
    const Vector offset = Isa::load(block.factors + kOffset * Isa::kChannels + kPlace);
    unrolled<kSums>([&](auto i) QCONV_INLINE {
      sums[i] = Isa::round(sums[i], multiplier, offset);
      if constexpr (v % 2 == 0) {
        even[i] = sums[i];
      } else {
        const Vector pair =
            Isa::words(even[i], sums[i], Isa::load(block.factors + kShift * Isa::kChannels));
        if constexpr (v == 1) {
          words[i] = pair;
        } else {
          const Vector bytes = Isa::clamp(
              Isa::bytes(words[i], pair), Isa::load(block.factors + kRange * Isa::kChannels),
              Isa::load(block.factors + kLow * Isa::kChannels));
          store_bytes<Isa>(
              block, kFirstRow + i / kColumns, (column + i % kColumns) * stride, bytes);
        }
      }
    });
  });
}

// The same for one pixel, with weight zero points.
template <typename Isa, Store kStore>
__attribute__((noinline)) void compute_with_zero_points(
    const Block& block, const uint8_t* bundles, int64_t column, int64_t rows) {
  using Vector = typename Isa::Vector;
  for (int row = 0; row < rows; ++row) {
    const int64_t offset = column * block.arguments->output_pixel_stride;
    Vector values[kVectors];
    unrolled<kVectors>([&](auto v) QCONV_INLINE {
      constexpr int64_t kPlace = v.value * Isa::kChannels;
      const auto sum = [&](uint8_t* const(&weights)[kUsers]) QCONV_INLINE {
        Vector sums[1];
        if (row == 0) {
          sum_taps<Isa, 0, 1, 1>(sums, block, weights, bundles, v);
        } else {
          sum_taps<Isa, 1, 1, 1>(sums, block, weights, bundles, v);
        }
        return sums[0];
      };
      values[v] = Isa::subtract_product(
          sum(block.weights), sum(block.ones), Isa::load(block.zero_points + kPlace));
      if constexpr (kStore == Store::kSums) {
        store_sums<Isa>(block, row, offset, v.value, values[v]);
      } else {
        values[v] = Isa::round(
            values[v], Isa::load(block.factors + kMultiplier * Isa::kChannels + kPlace),
            Isa::load(block.factors + kOffset * Isa::kChannels + kPlace));
      }
    });
    if constexpr (kStore == Store::kBytes) {
      const Vector shift = Isa::load(block.factors + kShift * Isa::kChannels);
      const Vector bytes = Isa::clamp(
          Isa::bytes(
              Isa::words(values[0], values[1], shift), Isa::words(values[2], values[3], shift)),
          Isa::load(block.factors + kRange * Isa::kChannels),
          Isa::load(block.factors + kLow * Isa::kChannels));
      store_bytes<Isa>(block, row, offset, bytes);
    }
  }
}

template <typename Isa, Store kStore, int kFirstRow, int kRows>
inline QCONV_INLINE void compute_tile_of(
    int64_t columns, const Block& block, const uint8_t* bundles, int64_t column) {
  static_assert(Isa::kTileColumns <= 4);
  switch (columns) {
    case 1:
      return compute_tile<Isa, kStore, kFirstRow, kRows, 1>(block, bundles, column);
    case 2:
      return compute_tile<Isa, kStore, kFirstRow, kRows, 2>(block, bundles, column);
    case 3:
      return compute_tile<Isa, kStore, kFirstRow, kRows, 3>(block, bundles, column);
    default:
      return compute_tile<Isa, kStore, kFirstRow, kRows, 4>(block, bundles, column);
  }
}

// All columns of the output rows that the sources and outputs point at.
template <typename Isa, int kParts, Store kStore>
void compute_rows(const Block& block, int64_t rows) {
  const DepthwiseArguments& arguments = *block.arguments;
  const int64_t reach = (arguments.kernel_columns - 1) * arguments.dilation;
  const bool slow = arguments.weight_zero_points != nullptr;
  int64_t origin = 0;  // position of the start of the buffer
  int64_t made = 0;    // positions before this one are in the buffer
  for (int64_t column = 0; column < arguments.output_columns;) {
    const int64_t left = arguments.output_columns - column;
    const int64_t tiles = (left + Isa::kTileColumns - 1) / Isa::kTileColumns;
    const int64_t columns = (left + tiles - 1) / tiles;
    const int64_t begin = column * block.stride;
    const int64_t end = begin + (columns - 1) * block.stride + reach + 1;
    if (column == 0 || end - origin > block.most_positions) {
      origin = begin;
      made = begin;
    }
    made = larger(made, begin);
    make_bundles<Isa, kParts>(
        block, made, end, block.buffer + (made - origin) * block.position_bytes);
    made = end;
    const uint8_t* const bundles = block.buffer + (begin - origin) * block.position_bytes;
    if (slow) {
      for (int64_t i = 0; i < columns; ++i) {
        compute_with_zero_points<Isa, kStore>(
            block, bundles + i * block.stride * block.position_bytes, column + i, rows);
      }
    } else if (Isa::kTileRows == 2 && rows == 2) {
      compute_tile_of<Isa, kStore, 0, 2>(columns, block, bundles, column);
    } else {
      compute_tile_of<Isa, kStore, 0, 1>(columns, block, bundles, column);
      if (rows == 2) {
        compute_tile_of<Isa, kStore, 1, 1>(columns, block, bundles, column);
      }
    }
    column += columns;
  }
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
