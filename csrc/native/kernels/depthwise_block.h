// What the depthwise kernels of all instruction sets lay out for a block of channels: a part of
// depthwise_vectors.h.

#pragma once

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

// Places in Block::factors, in vectors.
enum Factor {
  kMultiplier = 0,
  kOffset = kVectors,
  kShift = 2 * kVectors,  // see store.h; as words
  kRange,
  kLow,
  kFlip,  // of input
  kFactors
};

// One block of channels of a call, and what is laid out for it.
struct Block {
  const DepthwiseArguments* arguments;
  const DepthwisePlan* plan;
  bool is_3x3;  // see depthwise_3x3.h
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
  uint8_t* zero_points;          // of the weights: four vectors
  uint8_t* factors;              // for requantization: vectors, see Factor
  SourceRows* sources;           // of each bundle
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
  block.zero_points = pieces.take<uint8_t>(kVectors * kVectorBytes);
  block.factors = pieces.take<uint8_t>(kFactors * kVectorBytes);
  block.sources = pieces.take<SourceRows>(block.bundle_count);
  block.buffer = pieces.take<uint8_t>(block.most_positions * block.position_bytes);
  return pieces.bytes();
}

// `part_width` bytes for every part, the same.
template <typename Isa>
inline QCONV_INLINE typename Isa::Vector load_for_all_parts(
    const Block& block, const int8_t* from) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(from);
  if (block.parts == 1) {
    return Isa::load(bytes);
  }
  if constexpr (Isa::kChannels == 4 * kPartChannels) {
    if (block.parts == 4) {
      return Isa::template load_parts<4>({bytes, bytes, bytes, bytes});
    }
  }
  return Isa::template load_parts<2>({bytes, bytes});
}

template <typename Isa>
void fill_weights(
    const Block& block, int users, const int8_t* weight, int64_t tap_stride, uint8_t* to) {
  using Vector = typename Isa::Vector;
  const int64_t count = block.tap_counts[users];
  const int64_t rows = users == DepthwisePlan::kBoth ? 2 : 1;
  for (int64_t i = 0; i < count; ++i) {
    const DepthwisePlan::Tap& tap = block.plan->taps[users][i];
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t* const kernel_taps = tap.kernel_taps[users == DepthwisePlan::kSecond ? 1 : row];
      Vector sources[Isa::kLaneValues];
      unrolled<Isa::kLaneValues>([&](auto s) QCONV_INLINE {
        sources[s] = kernel_taps[s] < 0
            ? Isa::zero()
            : load_for_all_parts<Isa>(block, weight + kernel_taps[s] * tap_stride);
      });
      Vector vectors[kVectors];
      Isa::interleave_weights(sources, vectors);
      unrolled<kVectors>([&](auto v) QCONV_INLINE {
        Isa::store(to + ((v * count + i) * rows + row) * Isa::kChannels, vectors[v]);
      });
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
  std::memset(block.factors + kFlip * Isa::kChannels, arguments.input_flip, Isa::kChannels);
  if (arguments.store != Store::kSums) {
    const Requantization& requantization = arguments.requantization;
    uint8_t* const factors = block.factors;
    fill_factors<Isa>(block, requantization.multiplier, factors + kMultiplier * Isa::kChannels);
    fill_factors<Isa>(block, requantization.offset, factors + kOffset * Isa::kChannels);
    const auto shift = static_cast<int16_t>(requantization.zero_point - requantization.low);
    for (int64_t i = 0; i < Isa::kChannels; i += 2) {
      std::memcpy(factors + kShift * Isa::kChannels + i, &shift, sizeof(shift));
    }
    const int32_t range = requantization.high - requantization.low;
    std::memset(factors + kRange * Isa::kChannels, range, Isa::kChannels);
    std::memset(factors + kLow * Isa::kChannels, requantization.low, Isa::kChannels);
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

// Where the sources of a bundle are, taken out of a Block so that gcc keeps it in registers.
template <typename Isa, int kParts>
class BundleReader {
 public:
  inline QCONV_INLINE BundleReader(const Block& block, int64_t b)
      : rows_(block.sources[b]),
        zeros_(block.arguments->zero_point_pixel + block.channel),
        flip_(block.factors + kFlip * Isa::kChannels),
        flips_(block.arguments->input_flip != 0),
        input_columns_(block.arguments->input_columns),
        inner_columns_(input_columns_ - block.sources[b].reach) {}

  // The four vectors at a column of the input (offset: the same in bytes).
  inline QCONV_INLINE void read(
      int64_t column, int64_t offset, typename Isa::Vector (&bundle)[kVectors]) const {
    typename Isa::Vector sources[Isa::kLaneValues];
    if (__builtin_expect(column >= 0 && column < inner_columns_, 1)) {
      unrolled<Isa::kLaneValues>([&](auto s) QCONV_INLINE {
        const uint8_t* pointers[kParts];
        unrolled<kParts>([&](auto part) QCONV_INLINE {
          pointers[part] = rows_.pointers[part][s] + (offset & rows_.masks[part][s]);
        });
        sources[s] = Isa::template load_parts<kParts>(pointers);
      });
    } else {
      unrolled<Isa::kLaneValues>([&](auto s) QCONV_INLINE {
        const int64_t source_column = column + rows_.columns[s];
        const bool inside = source_column >= 0 && source_column < input_columns_;
        const uint8_t* pointers[kParts];
        unrolled<kParts>([&](auto part) QCONV_INLINE {
          pointers[part] =
              inside ? rows_.pointers[part][s] + (offset & rows_.masks[part][s]) : zeros_;
        });
        sources[s] = Isa::template load_parts<kParts>(pointers);
      });
    }
    if (__builtin_expect(flips_, 0)) {
      unrolled<Isa::kLaneValues>(
          [&](auto s) QCONV_INLINE { sources[s] = Isa::flip(sources[s], Isa::load(flip_)); });
    }
    Isa::interleave(sources, bundle);
  }

 private:
  const SourceRows& rows_;
  const uint8_t* zeros_;
  const uint8_t* flip_;
  bool flips_;
  int64_t input_columns_;
  int64_t inner_columns_;
};

// Stores pixels of 64 (or 32) channels, or of two or four parts.
class PixelWriter {
 public:
  inline QCONV_INLINE PixelWriter(const Block& block, int row)
      : to_(block.outputs[row]), first_(block.outputs[row][0]) {}

  // At an offset from column 0.
  template <typename Isa, int kParts>
  inline QCONV_INLINE void write(int64_t offset, typename Isa::Vector bytes) const {
    if constexpr (kParts == 1) {
      Isa::store(first_ + offset, bytes);
    } else {
      Isa::store_parts(to_, offset, bytes, kParts);
    }
  }

 private:
  uint8_t* const* to_;
  uint8_t* first_;
};

template <typename Isa>
inline QCONV_INLINE void store_bytes(
    const Block& block, int row, int64_t offset, typename Isa::Vector bytes) {
  if (__builtin_expect(block.parts == 1, 1)) {
    Isa::store(block.outputs[row][0] + offset, bytes);
  } else {
    Isa::store_parts(block.outputs[row], offset, bytes, block.parts);
  }
}

// Stores vector v of the four of a pixel's sums. offset: elements from column 0.
template <typename Isa>
inline QCONV_INLINE void store_sums(
    const Block& block, int64_t row, int64_t offset, int64_t v, typename Isa::Vector sums) {
  constexpr int64_t kLaneChannels = 16;  // of the four vectors together
  constexpr int64_t kBytes = element_bytes(Store::kSums);
  unrolled<Isa::kChannels / kLaneChannels>([&](auto lane) QCONV_INLINE {
    constexpr int64_t kFirst = lane.value * kLaneChannels;
    const int64_t part = kFirst / block.part_width;
    const int64_t channel = kFirst - part * block.part_width + v * kLaneChannels / kVectors;
    Isa::template store_lane<lane.value>(
        block.outputs[row][part] + (offset + channel) * kBytes, sums);
  });
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
