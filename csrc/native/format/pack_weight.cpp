#include "native/format/pack_weight.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "native/format/pack_gathered.h"
#include "native/format/weight_offsets.h"

namespace qconv::native {
namespace {

// Input channels that are neighbours in the source are packed straight from it; taps that are
// neighbours are taken apart by a kernel of their own; anything else is gathered byte by byte, of
// which input channels that lie far apart, as in transposed weights, allow a better order.
enum class Order { kChannelsLast, kTapsLast, kInChannelsOutermost, kOther };

constexpr int64_t kMaxTapsOfKernel = 128;  // that PackKernels::taps is used for
constexpr int64_t kVectorBytes = 16;       // that kernels read of a row at once

// The taps of an input channel follow each other without gaps.
bool taps_are_neighbours(const PackSource& source) {
  int64_t expected = 1;
  for (size_t i = 3; i-- > 0;) {
    if (source.conv.kernel[i] != 1 && source.strides.kernel[i] != expected) {
      return false;
    }
    expected *= source.conv.kernel[i];
  }
  return true;
}

Order order_of(const PackSource& source, const Layout& layout, const PackKernels& kernels) {
  const Convolution& conv = source.conv;
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t taps = conv.taps();
  if (layout.folded_rows != 1) {
    return Order::kOther;
  }
  if ((source.strides.in_channel == 1 || in_channels == 1) &&
      (!layout.folds_width || source.strides.kernel[2] == in_channels)) {
    return Order::kChannelsLast;
  }
  // A tap that is folded into others must end with a whole quad.
  const bool quads_end = in_channels % kQuad == 0 || !layout.folds_width;
  if (kernels.taps != nullptr && in_channels >= kQuad && quads_end && taps <= kMaxTapsOfKernel &&
      taps_are_neighbours(source) && source.strides.in_channel == taps) {
    return Order::kTapsLast;
  }
  if (quads_end && std::abs(source.strides.in_channel) > std::abs(source.strides.out_channel)) {
    return Order::kInChannelsOutermost;
  }
  return Order::kOther;
}

// Whether a vector that begins inside of the row of an output channel, whose weights lie without
// gaps, may end outside of the weight.
bool vectors_leave_weight(const PackSource& source, int64_t channel) {
  const WeightStrides& strides = source.strides;
  if (strides.group < 0 || strides.out_channel < 0) {
    return true;
  }
  const int64_t last_row = (source.conv.groups - 1) * strides.group +
      (source.conv.out_channels_per_group() - 1) * strides.out_channel;
  return last_row - source.strides.channel_offset(source.conv, channel) < kVectorBytes;
}

struct WeightPacker {
  const PackSource& source;
  const Layout& layout;
  const PackKernels& kernels;
  Order order;
  std::vector<int64_t> places;  // of the first quad of each of the kernel's taps, in quads

  void pack_block(const BlockSource& block, bool last, int8_t* out, BlockSums& sums) const;

 private:
  void pack_channels_last(const BlockSource& block, int8_t* out, BlockSums& sums) const;
  void pack_taps_last(const BlockSource& block, bool last, int8_t* out, BlockSums& sums) const;
};

void WeightPacker::pack_channels_last(
    const BlockSource& block, int8_t* out, BlockSums& sums) const {
  for (int64_t tap = 0; tap < layout.taps; ++tap) {
    int8_t* const place = out + tap * layout.quads_per_tap() * kQuad * block.columns;
    int64_t first = 0;
    weight_offsets(source.conv, layout, source.strides, tap, 0, 1, &first);
    kernels.rows(block, first, layout.depth, false, place, sums);
  }
}

// `last`: less than a vector of the weight follows the block's last row.
void WeightPacker::pack_taps_last(
    const BlockSource& block, bool last, int8_t* out, BlockSums& sums) const {
  const int64_t taps = source.conv.taps();
  const int64_t in_channels = source.conv.in_channels_per_group();
  const int64_t quads = (in_channels + kQuad - 1) / kQuad;
  const int64_t quad_bytes = kQuad * taps;
  std::vector<int64_t> byte_places(places);
  for (int64_t& place : byte_places) {
    place *= kQuad * block.columns;
  }
  // The kernel reads up to 15 bytes beyond the last weight of a quad: those of the next quads or
  // the next row. Where nothing follows, and where a quad isn't full, it reads from a copy instead.
  const int64_t unfollowed = last ? (kVectorBytes - 2) / quad_bytes + 1 : 0;
  const int64_t copied = std::min(quads, unfollowed + (in_channels % kQuad != 0 ? 1 : 0));
  const int64_t first = quads - copied;
  kernels.taps(block, taps, 0, first, byte_places.data(), out, sums);
  if (copied != 0) {
    int8_t rows[kBlockColumns][2 * kQuad * kMaxTapsOfKernel + 2 * kVectorBytes];
    const auto present = static_cast<size_t>(in_channels * taps - first * quad_bytes);
    const auto missing = static_cast<size_t>(copied * quad_bytes + kVectorBytes) - present;
    BlockSource copy = block;
    for (int64_t r = 0; r < kBlockColumns; ++r) {
      std::memcpy(rows[r], block.rows[r] + first * quad_bytes, present);
      std::memset(rows[r] + present, 0, missing);
      copy.rows[r] = rows[r];
    }
    int8_t* const place = out + first * kQuad * block.columns;
    kernels.taps(copy, taps, 0, copied, byte_places.data(), place, sums);
  }
}

void WeightPacker::pack_block(
    const BlockSource& block, bool last, int8_t* out, BlockSums& sums) const {
  const int64_t quad_bytes = kQuad * block.columns;
  const int64_t padding = layout.quads_per_tap() - layout.used_quads();
  for (int64_t tap = 0; padding != 0 && tap < layout.taps; ++tap) {
    int8_t* const end = out + (tap + 1) * layout.quads_per_tap() * quad_bytes;
    std::memset(end - padding * quad_bytes, 0, static_cast<size_t>(padding * quad_bytes));
  }
  switch (order) {
    case Order::kChannelsLast:
      pack_channels_last(block, out, sums);
      return;
    case Order::kTapsLast:
      pack_taps_last(block, last, out, sums);
      return;
    case Order::kInChannelsOutermost:
      pack_quads(source, places, block, out, sums, kernels);
      return;
    case Order::kOther:
      pack_gathered(source, layout, block, out, sums, kernels);
  }
}

// Where each of the kernel's taps begins in a packed block, in quads, if all do begin a quad.
std::vector<int64_t> tap_places(const Convolution& conv, const Layout& layout) {
  std::vector<int64_t> places;
  const int64_t columns = layout.folds_width ? conv.kernel[2] : 1;
  for (int64_t tap = 0; tap < conv.taps(); ++tap) {
    const int64_t in_tap = tap % columns * (conv.in_channels_per_group() / kQuad);
    places.push_back(tap / columns * layout.quads_per_tap() + in_tap);
  }
  return places;
}

int8_t zero_point(const PackSource& source, int64_t channel) {
  return static_cast<int8_t>(source.zero_points[source.zero_points_per_channel ? channel : 0]);
}

// The zero points of a block's channels as BlockSource wants them; null where all are 0.
const int8_t* block_zero_points(
    const PackSource& source, int64_t first, int64_t channels, int8_t (&storage)[kBlockColumns]) {
  if (source.zero_points == nullptr) {
    return nullptr;
  }
  bool any = false;
  for (int64_t i = 0; i < kBlockColumns; ++i) {
    storage[i] = i < channels ? zero_point(source, first + i) : int8_t{0};
    any = any || storage[i] != 0;
  }
  return any ? storage : nullptr;
}

BlockSource block_of(
    const PackSource& source, int64_t first, int64_t channels, int64_t columns,
    int8_t (&zero_points)[kBlockColumns]) {
  BlockSource block;
  block.channels = channels;
  block.columns = columns;
  for (int64_t r = 0; r < kBlockColumns; ++r) {
    block.rows[r] =
        source.weight + source.strides.channel_offset(source.conv, first + (r < channels ? r : 0));
  }
  block.zero_points = block_zero_points(source, first, channels, zero_points);
  return block;
}

// Hands the sums of a block on. zeros: of the values of each channel that aren't weights.
int64_t finish_sums(
    const BlockSource& block, const BlockSums& sums, int64_t zeros, int32_t* column_sums) {
  int64_t largest = 0;
  for (int64_t i = 0; i < block.channels; ++i) {
    column_sums[i] = sums.weights[i];
    const int64_t zero_point = block.zero_points == nullptr ? 0 : block.zero_points[i];
    const int64_t magnitude = sums.magnitudes[i] - zeros * std::abs(zero_point);
    largest = std::max(largest, magnitude);
  }
  return largest;
}

int64_t pack_dense(
    const PackSource& source, const Layout& layout, const PackKernels& kernels,
    PackedOutput& output, int32_t* column_sums) {
  const Convolution& conv = source.conv;
  WeightPacker packer{source, layout, kernels, order_of(source, layout, kernels), {}};
  if (packer.order == Order::kTapsLast || packer.order == Order::kInChannelsOutermost) {
    packer.places = tap_places(conv, layout);
  }
  const int64_t row_bytes = conv.in_channels_per_group() * conv.taps();
  const int64_t zeros = layout.taps * layout.used_quads() * kQuad - row_bytes;
  const int64_t out_channels = conv.out_channels / layout.groups;
  int64_t largest = 0;
  for (int64_t group = 0; group < layout.groups; ++group) {
    for (int64_t in_group = 0; in_group < out_channels; in_group += kBlockColumns) {
      const int64_t channels = std::min(kBlockColumns, out_channels - in_group);
      const bool last = in_group + channels == out_channels;
      const int64_t columns = last ? layout.last_columns : kBlockColumns;
      const int64_t first = group * out_channels + in_group;
      int8_t zero_points[kBlockColumns];
      const BlockSource block = block_of(source, first, channels, columns, zero_points);
      BlockSums sums;
      auto* const place = reinterpret_cast<int8_t*>(output.data + output.written);
      packer.pack_block(block, vectors_leave_weight(source, first + channels - 1), place, sums);
      output.advance_to(output.written + layout.block_bytes(columns));
      largest = std::max(largest, finish_sums(block, sums, zeros, column_sums + first));
    }
  }
  return largest;
}

// Depthwise channels one value at a time.
void pack_channels_portably(
    const PackSource& source, const BlockSource& block, int64_t stride, int8_t* out,
    BlockSums& sums) {
  const Extent& kernel = source.conv.kernel;
  const Extent& strides = source.strides.kernel;
  for (int64_t d = 0; d < kernel[0]; ++d) {
    for (int64_t h = 0; h < kernel[1]; ++h) {
      for (int64_t w = 0; w < kernel[2]; ++w) {
        const int64_t offset = d * strides[0] + h * strides[1] + w * strides[2];
        for (int64_t c = 0; c < kBlockColumns; ++c) {
          const int8_t weight = c < block.channels ? block.rows[c][offset] : int8_t{0};
          const int zero_point = block.zero_points == nullptr ? 0 : block.zero_points[c];
          out[c] = weight;
          sums.weights[c] += weight;
          sums.magnitudes[c] += static_cast<uint32_t>(std::abs(weight - zero_point));
        }
        out += stride;
      }
    }
  }
}

int64_t pack_depthwise(
    const PackSource& source, const Layout& layout, const PackKernels& kernels,
    PackedOutput& output, int32_t* column_sums) {
  const int64_t taps = layout.taps;
  const int64_t stride = layout.weight_bytes / taps;
  const bool in_vectors =
      kernels.channels != nullptr && taps <= kMaxDepthwiseTaps && taps_are_neighbours(source);
  int64_t largest = 0;
  for (int64_t first = 0; first < source.conv.out_channels; first += kBlockColumns) {
    const int64_t channels = std::min(kBlockColumns, source.conv.out_channels - first);
    int8_t zero_points[kBlockColumns];
    BlockSource block = block_of(source, first, channels, kBlockColumns, zero_points);
    BlockSums sums;
    auto* const place = reinterpret_cast<int8_t*>(output.data + output.written + first);
    if (in_vectors) {
      // The kernel reads whole vectors: of the last rows, those of a copy.
      int8_t rows[kBlockColumns][kMaxDepthwiseTaps];
      if (vectors_leave_weight(source, first + channels - 1)) {
        for (int64_t r = 0; r < kBlockColumns; ++r) {
          std::memcpy(rows[r], block.rows[r], static_cast<size_t>(taps));
          block.rows[r] = rows[r];
        }
      }
      kernels.channels(block, taps, stride, place, sums);
    } else {
      pack_channels_portably(source, block, stride, place, sums);
    }
    largest = std::max(largest, finish_sums(block, sums, 0, column_sums + first));
  }
  output.advance_to(output.written + layout.weight_bytes);
  return largest;
}

}  // namespace

void PackedOutput::advance_to(int64_t end) {
  const int64_t begin = written / kStripeBytes * kStripeBytes;
  checksum.add(data + begin, end / kStripeBytes - written / kStripeBytes);
  written = end;
}

int64_t pack_weight(
    const PackSource& source, const Layout& layout, const PackKernels& kernels,
    PackedOutput& output, int32_t* column_sums) {
  return layout.kind == LayoutKind::kDepthwise
      ? pack_depthwise(source, layout, kernels, output, column_sums)
      : pack_dense(source, layout, kernels, output, column_sums);
}

}  // namespace qconv::native
