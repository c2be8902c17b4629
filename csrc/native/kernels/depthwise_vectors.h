// Depthwise convolution with vectors, for any instruction set: kernel files include this below
// their target pragma and the standard headers, once each.
//
// A vector of input is kChannels bytes (32 or 64): neighbouring channels of one pixel, or, at the
// end of the channels, two or four parts of fewer channels from as many output rows apart.
// make_bundles interleaves such vectors of several input rows (see DepthwisePlan) into four vectors
// whose lanes are channels; they go to a small buffer that slides along the row, a few columns
// ahead of their use. compute_tile adds up their products with the weights for a tile of one or two
// rows by a few columns of output, one of the four vectors after the other. Interleaving and
// packing to bytes both work within 128-bit lanes, each undoing the other's order.
//
// `Isa` names the instructions:
//   Vector, kChannels, kLaneValues, kTileRows, kTileColumns;
//   load, store, zero; load_parts<kParts>(pointers), store_part(to, vector, part);
//   interleave(sources, bundle), interleave_weights(sources, bundle); dot(sum, bundle, weight);
//   subtract_product(sums, a, b); round(sums, multiplier, offset); words(a, b, zero_point);
//   bytes(a, b); clamp(bytes, low, high).

#include "native/kernels/unroll.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

constexpr int kVectors = 4;                         // that a bundle consists of
constexpr int64_t kPartChannels = kNarrowChannels;  // at least
constexpr int kMostParts = 4;
constexpr int kUsers = DepthwisePlan::kUsers;
// Of the buffer of bundles, if the kernel's width allows it: a part of the L1 cache.
constexpr int64_t kBufferBytes = 12 * 1024;

// The input values that a bundle consists of, for a row of bundles.
struct SourceRows {
  // Of column 0 (plus the source's own columns), channel 0 of the block; row masks are all ones, or
  // 0 for a row of zero points.
  const uint8_t* pointers[kMostParts][4];
  int64_t masks[kMostParts][4];
  int64_t columns[4];  // the source's own columns, in pixels
  int64_t reach;       // the largest of them
};

// One block of channels of a call, and what is laid out for it.
struct Block {
  const DepthwiseArguments* arguments;
  const DepthwisePlan* plan;
  int64_t stride;
  int64_t channel;     // the first one
  int64_t part_width;  // channels of a part
  int64_t parts;
  int64_t bundle_count;
  int64_t position_bytes;  // of bundles
  int64_t most_positions;  // in the buffer
  int64_t tap_counts[kUsers];
  int64_t* tap_offsets[kUsers];  // bytes from a position
  uint8_t* weights[kUsers];      // vectors [4][tap][2 if used by both output rows]
  uint8_t* ones[kUsers];         // the same with 1 for every weight; null without zero points
  uint8_t* multiplier;           // four vectors each
  uint8_t* offset;
  uint8_t* zero_points;
  uint8_t* zero_point;  // of the output, as words
  uint8_t* low;
  uint8_t* high;
  SourceRows* sources;  // of each bundle
  uint8_t* buffer;
  uint8_t* outputs[2][kMostParts];  // column 0 of an output row
};

// Not std::min and std::max: the linker could take this file's copies of them for all of the
// program.
inline QCONV_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
inline QCONV_INLINE int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

inline QCONV_INLINE int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Hands out parts of one piece of memory, 64-byte aligned.
class Pieces {
 public:
  explicit Pieces(uint8_t* memory) : next_(memory) {}

  template <typename T>
  T* take(int64_t count) {
    auto* const piece = reinterpret_cast<T*>(next_);
    next_ += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
    bytes_ += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
    return piece;
  }
  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* next_;
  int64_t bytes_ = 0;
};

// Lays a block's tables out from `memory` on (which may be null, to learn their size). Returns
// bytes.
template <typename Isa>
int64_t lay_out(Block& block, uint8_t* memory) {
  constexpr int64_t kVectorBytes = Isa::kChannels;
  Pieces pieces(memory);
  const bool zero_points = block.arguments->weight_zero_points != nullptr;
  for (int users = 0; users < kUsers; ++users) {
    const int64_t rows = users == DepthwisePlan::kBoth ? 2 : 1;
    const int64_t vectors = kVectors * block.tap_counts[users] * rows;
    block.tap_offsets[users] = pieces.take<int64_t>(block.tap_counts[users]);
    block.weights[users] = pieces.take<uint8_t>(vectors * kVectorBytes);
    block.ones[users] = zero_points ? pieces.take<uint8_t>(vectors * kVectorBytes) : nullptr;
  }
  block.multiplier = pieces.take<uint8_t>(kVectors * kVectorBytes);
  block.offset = pieces.take<uint8_t>(kVectors * kVectorBytes);
  block.zero_points = pieces.take<uint8_t>(kVectors * kVectorBytes);
  block.zero_point = pieces.take<uint8_t>(kVectorBytes);
  block.low = pieces.take<uint8_t>(kVectorBytes);
  block.high = pieces.take<uint8_t>(kVectorBytes);
  block.sources = pieces.take<SourceRows>(block.bundle_count);
  block.buffer = pieces.take<uint8_t>(block.most_positions * block.position_bytes);
  return pieces.bytes();
}

// `part_width` bytes for every part, the same.
template <typename Isa>
inline QCONV_INLINE typename Isa::Vector load_for_all_parts(
    const Block& block, const int8_t* from) {
  alignas(64) int8_t all[Isa::kChannels];
  for (int64_t part = 0; part < block.parts; ++part) {
    std::memcpy(all + part * block.part_width, from, static_cast<size_t>(block.part_width));
  }
  return Isa::load(all);
}

template <typename Isa>
void fill_weights(
    const Block& block, int users, const int8_t* weight, int64_t tap_stride, uint8_t* to) {
  using Vector = typename Isa::Vector;
  constexpr int64_t kVectorBytes = Isa::kChannels;
  const DepthwisePlan& plan = *block.plan;
  const int64_t rows = users == DepthwisePlan::kBoth ? 2 : 1;
  for (int64_t i = 0; i < block.tap_counts[users]; ++i) {
    const DepthwisePlan::Tap& tap = plan.taps[users][i];
    const DepthwisePlan::Bundle& bundle = plan.bundles[tap.bundle];
    for (int64_t row = 0; row < rows; ++row) {
      Vector sources[Isa::kLaneValues];
      for (int64_t s = 0; s < Isa::kLaneValues; ++s) {
        const int64_t kernel_tap = s < bundle.count
            ? plan.kernel_tap(tap, bundle.sources[s], users == DepthwisePlan::kSecond ? 1 : row)
            : -1;
        sources[s] = kernel_tap < 0
            ? Isa::zero()
            : load_for_all_parts<Isa>(block, weight + kernel_tap * tap_stride);
      }
      Vector vectors[kVectors];
      Isa::interleave_weights(sources, vectors);
      for (int64_t v = 0; v < kVectors; ++v) {
        Isa::store(
            to + ((v * block.tap_counts[users] + i) * rows + row) * kVectorBytes, vectors[v]);
      }
    }
  }
}

// 32-bit factors of the block's channels, in the order of the sums' lanes.
template <typename Isa>
void fill_factors(const Block& block, const void* from, uint8_t* to) {
  constexpr int64_t kLaneBytes = 16;
  for (int64_t v = 0; v < kVectors; ++v) {
    for (int64_t lane = 0; lane < Isa::kChannels / kLaneBytes; ++lane) {
      const int64_t channel = block.channel + lane * kLaneBytes % block.part_width + v * 4;
      std::memcpy(
          to + v * Isa::kChannels + lane * kLaneBytes,
          static_cast<const uint8_t*>(from) + channel * 4, kLaneBytes);
    }
  }
}

template <typename Isa>
void fill_tables(const Block& block) {
  const DepthwiseArguments& arguments = *block.arguments;
  const DepthwisePlan& plan = *block.plan;
  for (int users = 0; users < kUsers; ++users) {
    for (int64_t i = 0; i < block.tap_counts[users]; ++i) {
      const DepthwisePlan::Tap& tap = plan.taps[users][i];
      block.tap_offsets[users][i] = tap.column * arguments.dilation * block.position_bytes +
          tap.bundle * kVectors * Isa::kChannels;
    }
    fill_weights<Isa>(
        block, users, arguments.weight + block.channel, arguments.tap_stride, block.weights[users]);
    if (arguments.weight_zero_points != nullptr) {
      int8_t ones[Isa::kChannels];
      std::memset(ones, 1, sizeof(ones));
      fill_weights<Isa>(block, users, ones, 0, block.ones[users]);
    }
  }
  if (arguments.weight_zero_points != nullptr) {
    fill_factors<Isa>(block, arguments.weight_zero_points, block.zero_points);
  }
  if (!arguments.to_sums) {
    const Requantization& requantization = arguments.requantization;
    fill_factors<Isa>(block, requantization.multiplier, block.multiplier);
    fill_factors<Isa>(block, requantization.offset, block.offset);
    const auto zero_point = static_cast<int16_t>(requantization.zero_point);
    for (int64_t i = 0; i < Isa::kChannels; i += 2) {
      std::memcpy(block.zero_point + i, &zero_point, sizeof(zero_point));
    }
    std::memset(block.low, requantization.low, Isa::kChannels);
    std::memset(block.high, requantization.high, Isa::kChannels);
  }
}

// Points the sources at the input rows of output rows `first_rows` (one for each part) on. Rows of
// the table from `row_count` output rows on don't exist.
template <typename Isa>
void point_at_rows(Block& block, const int64_t* first_rows) {
  const DepthwiseArguments& arguments = *block.arguments;
  const DepthwisePlan& plan = *block.plan;
  const uint8_t* const zeros = arguments.zero_point_pixel + block.channel;
  for (int64_t b = 0; b < block.bundle_count; ++b) {
    const DepthwisePlan::Bundle& bundle = plan.bundles[b];
    SourceRows& sources = block.sources[b];
    sources.reach = (bundle.span - 1) * arguments.dilation;
    for (int64_t part = 0; part < block.parts; ++part) {
      const int64_t first = first_rows[part];
      const int64_t rows = smaller(plan.output_rows, arguments.output_rows - first);
      const int64_t known = arguments.kernel_rows + (rows - 1) * arguments.row_step;
      for (int64_t s = 0; s < Isa::kLaneValues; ++s) {
        const uint8_t* row = nullptr;
        sources.columns[s] = 0;
        if (s < bundle.count && bundle.sources[s].row < known) {
          row = arguments.rows[first * arguments.row_step + bundle.sources[s].row];
          sources.columns[s] = bundle.sources[s].column * arguments.dilation;
        }
        sources.pointers[part][s] = row == nullptr
            ? zeros
            : row + block.channel + sources.columns[s] * arguments.input_pixel_stride;
        sources.masks[part][s] = row == nullptr ? 0 : -1;
      }
    }
  }
}

// The bundles at positions [begin, end): input columns, the left padding counted.
template <typename Isa, int kParts>
__attribute__((noinline)) void make_bundles(
    const Block& block, int64_t begin, int64_t end, uint8_t* to) {
  using Vector = typename Isa::Vector;
  const DepthwiseArguments& arguments = *block.arguments;
  const int64_t input_columns = arguments.input_columns;
  const uint8_t* const zeros = arguments.zero_point_pixel + block.channel;
  int64_t phase = begin % block.stride;
  int64_t column = begin - arguments.padding;
  int64_t offset = column * arguments.input_pixel_stride;
  for (int64_t position = begin; position < end; ++position) {
    const uint8_t* const needed = block.plan->positions + phase * block.bundle_count;
    for (int64_t b = 0; b < block.bundle_count; ++b, to += kVectors * Isa::kChannels) {
      if (needed[b] == 0) {
        continue;
      }
      const SourceRows& rows = block.sources[b];
      Vector sources[Isa::kLaneValues];
      if (__builtin_expect(column >= 0 && column + rows.reach < input_columns, 1)) {
        unrolled<Isa::kLaneValues>([&](auto s) QCONV_INLINE {
          const uint8_t* pointers[kParts];
          unrolled<kParts>([&](auto part) QCONV_INLINE {
            pointers[part] = rows.pointers[part][s] + (offset & rows.masks[part][s]);
          });
          sources[s] = Isa::template load_parts<kParts>(pointers);
        });
      } else {
        unrolled<Isa::kLaneValues>([&](auto s) QCONV_INLINE {
          const int64_t source_column = column + rows.columns[s];
          const bool inside = source_column >= 0 && source_column < input_columns;
          const uint8_t* pointers[kParts];
          unrolled<kParts>([&](auto part) QCONV_INLINE {
            pointers[part] =
                inside ? rows.pointers[part][s] + (offset & rows.masks[part][s]) : zeros;
          });
          sources[s] = Isa::template load_parts<kParts>(pointers);
        });
      }
      Vector bundle[kVectors];
      Isa::interleave(sources, bundle);
      unrolled<kVectors>([&](auto v)
                             QCONV_INLINE { Isa::store(to + v * Isa::kChannels, bundle[v]); });
    }
    ++column;
    offset += arguments.input_pixel_stride;
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

template <typename Isa>
inline QCONV_INLINE void store_bytes(
    const Block& block, int row, int64_t offset, typename Isa::Vector bytes) {
  if (__builtin_expect(block.parts == 1, 1)) {
    Isa::store(block.outputs[row][0] + offset, bytes);
  } else {
    Isa::store_parts(block.outputs[row], offset, bytes, block.parts);
  }
}

// Output columns [column, column + kColumns), whose bundles start at `bundles`, of rows
// [kFirstRow, kFirstRow + kRows).
template <typename Isa, int kFirstRow, int kRows, int kColumns>
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
    const Vector multiplier = Isa::load(block.multiplier + kPlace);
    const Vector offset = Isa::load(block.offset + kPlace);
    unrolled<kSums>([&](auto i) QCONV_INLINE {
      sums[i] = Isa::round(sums[i], multiplier, offset);
      if constexpr (v % 2 == 0) {
        even[i] = sums[i];
      } else {
        const Vector pair = Isa::words(even[i], sums[i], Isa::load(block.zero_point));
        if constexpr (v == 1) {
          words[i] = pair;
        } else {
          const Vector bytes =
              Isa::clamp(Isa::bytes(words[i], pair), Isa::load(block.low), Isa::load(block.high));
          store_bytes<Isa>(
              block, kFirstRow + i / kColumns,
              (column + i % kColumns) * block.arguments->output_pixel_stride, bytes);
        }
      }
    });
  });
}

// The same for one pixel, with weight zero points or for sums.
template <typename Isa>
__attribute__((noinline)) void compute_sums(
    const Block& block, const uint8_t* bundles, int64_t column, int64_t rows) {
  using Vector = typename Isa::Vector;
  const DepthwiseArguments& arguments = *block.arguments;
  for (int row = 0; row < rows; ++row) {
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
      values[v] = sum(block.weights);
      if (arguments.weight_zero_points != nullptr) {
        values[v] = Isa::subtract_product(
            values[v], sum(block.ones), Isa::load(block.zero_points + kPlace));
      }
      if (!arguments.to_sums) {
        values[v] = Isa::round(
            values[v], Isa::load(block.multiplier + kPlace), Isa::load(block.offset + kPlace));
      }
    });
    const int64_t offset = column * arguments.output_pixel_stride;
    if (!arguments.to_sums) {
      const Vector zero_point = Isa::load(block.zero_point);
      const Vector bytes = Isa::clamp(
          Isa::bytes(
              Isa::words(values[0], values[1], zero_point),
              Isa::words(values[2], values[3], zero_point)),
          Isa::load(block.low), Isa::load(block.high));
      store_bytes<Isa>(block, row, offset, bytes);
      continue;
    }
    constexpr int64_t kLaneBytes = 16;
    uint8_t sums[kVectors][Isa::kChannels];
    uint8_t ordered[Isa::kChannels * sizeof(int32_t)];
    for (int64_t v = 0; v < kVectors; ++v) {
      Isa::store(sums[v], values[v]);
      for (int64_t lane = 0; lane < Isa::kChannels / kLaneBytes; ++lane) {
        std::memcpy(
            ordered + (lane * kVectors + v) * kLaneBytes, sums[v] + lane * kLaneBytes, kLaneBytes);
      }
    }
    for (int64_t part = 0; part < block.parts; ++part) {
      std::memcpy(
          block.outputs[row][part] + offset * 4, ordered + part * block.part_width * 4,
          static_cast<size_t>(block.part_width * 4));
    }
  }
}

template <typename Isa, int kFirstRow, int kRows>
inline QCONV_INLINE void compute_tile_of(
    int64_t columns, const Block& block, const uint8_t* bundles, int64_t column) {
  static_assert(Isa::kTileColumns <= 4);
  switch (columns) {
    case 1:
      return compute_tile<Isa, kFirstRow, kRows, 1>(block, bundles, column);
    case 2:
      return compute_tile<Isa, kFirstRow, kRows, 2>(block, bundles, column);
    case 3:
      return compute_tile<Isa, kFirstRow, kRows, 3>(block, bundles, column);
    default:
      return compute_tile<Isa, kFirstRow, kRows, 4>(block, bundles, column);
  }
}

// All columns of the output rows that the sources and outputs point at.
template <typename Isa, int kParts>
void compute_rows(const Block& block, int64_t rows) {
  const DepthwiseArguments& arguments = *block.arguments;
  const int64_t reach = (arguments.kernel_columns - 1) * arguments.dilation;
  const bool slow = arguments.to_sums || arguments.weight_zero_points != nullptr;
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
        compute_sums<Isa>(
            block, bundles + i * block.stride * block.position_bytes, column + i, rows);
      }
    } else if (Isa::kTileRows == 2 && rows == 2) {
      compute_tile_of<Isa, 0, 2>(columns, block, bundles, column);
    } else {
      compute_tile_of<Isa, 0, 1>(columns, block, bundles, column);
      if (rows == 2) {
        compute_tile_of<Isa, 1, 1>(columns, block, bundles, column);
      }
    }
    column += columns;
  }
}

template <typename Isa, int kParts>
void compute_block(Block& block) {
  const DepthwiseArguments& arguments = *block.arguments;
  const int64_t rows = block.plan->output_rows;
  const int64_t element = arguments.to_sums ? sizeof(int32_t) : 1;
  auto* const output = static_cast<uint8_t*>(arguments.output);
  for (int64_t row = 0; row < arguments.output_rows; row += rows * kParts) {
    // Parts for which no rows are left compute the last ones again.
    const int64_t last = larger(arguments.output_rows - rows, 0);
    int64_t first_rows[kParts];
    for (int part = 0; part < kParts; ++part) {
      first_rows[part] = kParts == 1 ? row : smaller(row + part * rows, last);
      for (int64_t r = 0; r < rows; ++r) {
        block.outputs[r][part] = output +
            ((first_rows[part] + r) * arguments.output_row_stride + block.channel) * element;
      }
    }
    point_at_rows<Isa>(block, first_rows);
    compute_rows<Isa, kParts>(block, smaller(rows, arguments.output_rows - first_rows[0]));
  }
}

template <typename Isa>
void depthwise(const DepthwiseArguments& arguments) {
  if (arguments.channels < kNarrowChannels) {
    return depthwise_narrow(arguments, depthwise<Isa>);
  }
  constexpr int64_t kVectorBytes = Isa::kChannels;
  Block block = {};
  block.arguments = &arguments;
  block.stride = arguments.output_columns == 1 ? 1 : arguments.stride;
  block.plan = &plan_depthwise(
      {arguments.kernel_rows, arguments.kernel_columns, arguments.row_step, block.stride,
       arguments.dilation, arguments.output_rows == 1, Isa::kLaneValues});
  const DepthwisePlan& plan = *block.plan;
  block.bundle_count = plan.bundle_count;
  block.position_bytes = block.bundle_count * kVectors * kVectorBytes;
  const int64_t reach = (arguments.kernel_columns - 1) * arguments.dilation;
  block.most_positions = larger(
      reach + 1 + (Isa::kTileColumns - 1) * block.stride, kBufferBytes / block.position_bytes);
  for (int users = 0; users < kUsers; ++users) {
    block.tap_counts[users] = plan.tap_counts[users];
  }
  uint8_t* const memory = depthwise_memory(lay_out<Isa>(block, nullptr));
  lay_out<Isa>(block, memory);
  for (int64_t channel = 0; channel < arguments.channels;) {
    // The widest part that isn't filled by half of it; the last block overlaps the one before.
    const int64_t left = arguments.channels - channel;
    int64_t width = Isa::kChannels;
    while (width > kPartChannels && (width / 2 >= left || width > arguments.channels)) {
      width /= 2;
    }
    block.channel = smaller(channel, arguments.channels - width);
    block.part_width = width;
    block.parts = Isa::kChannels / width;
    fill_tables<Isa>(block);
    switch (block.parts) {
      case 1:
        compute_block<Isa, 1>(block);
        break;
      case 2:
        compute_block<Isa, 2>(block);
        break;
      default:
        if constexpr (Isa::kChannels / kPartChannels == 4) {
          compute_block<Isa, 4>(block);
        }
        break;
    }
    channel += width;
  }
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
