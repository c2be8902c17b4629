// Portable packing, and what the other instruction sets are held to.
#include <cstdlib>
#include <cstring>

#include "native/format/pack_kernels.h"

namespace qconv::native {
namespace {

// The quad of a column, of which `present` bytes come from `from`.
void pack_quad(
    const BlockSource& block, int64_t column, const int8_t* from, int64_t present, int8_t* out,
    BlockSums& sums) {
  int8_t quad[kQuad] = {};
  if (column < block.channels) {
    std::memcpy(quad, from, static_cast<size_t>(present));
    const int zero_point = block.zero_points == nullptr ? 0 : block.zero_points[column];
    for (int8_t weight : quad) {
      sums.weights[column] += weight;
      sums.magnitudes[column] += static_cast<uint32_t>(std::abs(weight - zero_point));
    }
  }
  std::memcpy(out, quad, sizeof(quad));
}

void pack_rows(
    const BlockSource& block, int64_t first, int64_t depth, bool /*padded*/, int8_t* out,
    BlockSums& sums) {
  for (int64_t k = 0; k < depth; k += kQuad) {
    for (int64_t column = 0; column < block.columns; ++column, out += kQuad) {
      const int64_t present = depth - k < kQuad ? depth - k : kQuad;
      pack_quad(block, column, block.rows[column] + first + k, present, out, sums);
    }
  }
}

void pack_quads(
    const BlockSource& block, const int8_t* from, int64_t count, int8_t* out, BlockSums& sums) {
  for (int64_t quad = 0; quad < count; ++quad, from += kBlockColumns * kQuad) {
    for (int64_t column = 0; column < block.columns; ++column, out += kQuad) {
      pack_quad(block, column, from + column * kQuad, kQuad, out, sums);
    }
  }
}

void add_stripes(ChecksumState& state, const uint8_t* data, int64_t stripes) {
  for (int64_t stripe = 0; stripe < stripes; ++stripe) {
    uint32_t words[ChecksumState::kLanes];
    std::memcpy(words, data + stripe * kStripeBytes, sizeof(words));
    for (int lane = 0; lane < ChecksumState::kLanes; ++lane) {
      state.sums[lane] += words[lane];
      state.sums_of_sums[lane] += state.sums[lane];
    }
  }
}

}  // namespace

constinit const PackKernels kPackKernelsScalar{
    .rows = pack_rows,
    .quads = pack_quads,
    .taps = nullptr,
    .channels = nullptr,
    .add_stripes = add_stripes};

}  // namespace qconv::native
