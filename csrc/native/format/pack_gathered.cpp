#include "native/format/pack_gathered.h"

#include <algorithm>
#include <cstring>

#include "native/format/weight_offsets.h"

namespace qconv::native {
namespace {

constexpr int64_t kGatheredDepth = 256;  // bytes of each row that are gathered at once
constexpr int64_t kVectorBytes = 16;     // that kernels read of a row at once

// Of a block, that are brought together at once: 16 KB.
constexpr int64_t kQuadsAtOnce = 16;
constexpr int64_t kTapsAtOnce = 16;
constexpr int64_t kQuadBytes = kQuad * kBlockColumns;

// Where the bytes of a part of a tap come from in every row, to a whole number of vectors.
struct GatherTable {
  int64_t offsets[kGatheredDepth];         // 0 where there is no weight
  uint32_t masks[kGatheredDepth / kQuad];  // of each quad: bytes that hold weights

  void fill(
      const PackSource& source, const Layout& layout, int64_t tap, int64_t begin, int64_t depth);
  void gather(const int8_t* row, int64_t depth, int8_t* out) const;
};

int64_t whole_vectors(int64_t depth) {
  return (depth + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
}

void GatherTable::fill(
    const PackSource& source, const Layout& layout, int64_t tap, int64_t begin, int64_t depth) {
  weight_offsets(source.conv, layout, source.strides, tap, begin, depth, offsets);
  std::fill(offsets + depth, offsets + whole_vectors(depth), kNoWeight);
  for (int64_t k = 0; k < whole_vectors(depth); k += kQuad) {
    uint32_t mask = 0;
    for (int64_t i = 0; i < kQuad; ++i) {
      const bool present = offsets[k + i] != kNoWeight;
      mask |= (present ? 0xffU : 0U) << (8 * i);
      offsets[k + i] = present ? offsets[k + i] : 0;
    }
    masks[k / kQuad] = mask;
  }
}

void GatherTable::gather(const int8_t* row, int64_t depth, int8_t* out) const {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(row);
  for (int64_t k = 0; k < whole_vectors(depth); k += kQuad) {
    const uint32_t quad = uint32_t{bytes[offsets[k]]} | uint32_t{bytes[offsets[k + 1]]} << 8 |
        uint32_t{bytes[offsets[k + 2]]} << 16 | uint32_t{bytes[offsets[k + 3]]} << 24;
    const uint32_t present = quad & masks[k / kQuad];
    std::memcpy(out + k, &present, sizeof(present));
  }
}

// The weights of `channels` <= 4 input channels, `stride` apart, of every row, as a quad.
void gather_quad(
    const int8_t* const* rows, int64_t offset, int64_t stride, int64_t channels, int8_t* out) {
  for (int64_t r = 0; r < kBlockColumns; ++r) {
    const auto* const row = reinterpret_cast<const uint8_t*>(rows[r] + offset);
    uint32_t quad = row[0];
    if (channels == kQuad) {
      quad |= uint32_t{row[stride]} << 8 | uint32_t{row[2 * stride]} << 16 |
          uint32_t{row[3 * stride]} << 24;
    } else {
      for (int64_t i = 1; i < channels; ++i) {
        quad |= uint32_t{row[i * stride]} << (8 * i);
      }
    }
    std::memcpy(out + r * kQuad, &quad, sizeof(quad));
  }
}

}  // namespace

void pack_gathered(
    const PackSource& source, const Layout& layout, const BlockSource& block, int8_t* out,
    BlockSums& sums, const PackKernels& kernels) {
  GatherTable table;
  int8_t rows[kBlockColumns][kGatheredDepth];
  BlockSource gathered = block;
  for (int64_t r = 0; r < kBlockColumns; ++r) {
    gathered.rows[r] = rows[r < block.channels ? r : 0];
  }
  for (int64_t tap = 0; tap < layout.taps; ++tap) {
    for (int64_t begin = 0; begin < layout.depth; begin += kGatheredDepth) {
      const int64_t depth = std::min(kGatheredDepth, layout.depth - begin);
      table.fill(source, layout, tap, begin, depth);
      for (int64_t r = 0; r < block.channels; ++r) {
        table.gather(block.rows[r], depth, rows[r]);
      }
      int8_t* const place = out + (tap * layout.quads_per_tap() * kQuad + begin) * block.columns;
      kernels.rows(gathered, 0, depth, true, place, sums);
    }
  }
}

void pack_quads(
    const PackSource& source, const std::vector<int64_t>& places, const BlockSource& block,
    int8_t* out, BlockSums& sums, const PackKernels& kernels) {
  const WeightStrides& strides = source.strides;
  const Extent& kernel = source.conv.kernel;
  const int64_t in_channels = source.conv.in_channels_per_group();
  const int64_t quads = (in_channels + kQuad - 1) / kQuad;
  const int64_t taps = source.conv.taps();
  const int64_t quad_bytes = kQuad * block.columns;
  alignas(64) int8_t gathered[kTapsAtOnce][kQuadsAtOnce * kQuadBytes];
  for (int64_t first_quad = 0; first_quad < quads; first_quad += kQuadsAtOnce) {
    const int64_t quad_count = std::min(kQuadsAtOnce, quads - first_quad);
    for (int64_t first_tap = 0; first_tap < taps; first_tap += kTapsAtOnce) {
      const int64_t tap_count = std::min(kTapsAtOnce, taps - first_tap);
      int64_t tap_offsets[kTapsAtOnce];
      for (int64_t i = 0; i < tap_count; ++i) {
        const int64_t tap = first_tap + i;
        tap_offsets[i] = tap / kernel[2] / kernel[1] * strides.kernel[0] +
            tap / kernel[2] % kernel[1] * strides.kernel[1] + tap % kernel[2] * strides.kernel[2];
      }
      for (int64_t q = 0; q < quad_count; ++q) {
        const int64_t channel = (first_quad + q) * kQuad;
        for (int64_t i = 0; i < tap_count; ++i) {
          gather_quad(
              block.rows, channel * strides.in_channel + tap_offsets[i], strides.in_channel,
              std::min(kQuad, in_channels - channel), gathered[i] + q * kQuadBytes);
        }
      }
      for (int64_t i = 0; i < tap_count; ++i) {
        const int64_t place = places[static_cast<size_t>(first_tap + i)] + first_quad;
        kernels.quads(block, gathered[i], quad_count, out + place * quad_bytes, sums);
      }
    }
  }
}

}  // namespace qconv::native
