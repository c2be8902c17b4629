#include "native/format/unpack.h"

#include <algorithm>
#include <vector>

#include "native/format/pack.h"
#include "native/format/weight_offsets.h"

namespace qconv::native {
namespace {

void unpack_depthwise(const PackedView& view, int8_t* weight) {
  const int64_t taps = view.layout.taps;
  const int64_t stride = view.layout.weight_bytes / taps;
  for (int64_t channel = 0; channel < view.conv.out_channels; ++channel) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      *weight++ = view.weight[tap * stride + channel];
    }
  }
}

// One output channel of a tap: 4 bytes in every `stride`, the one at k to row[offsets[k]].
void unpack_tap(
    const int8_t* packed, int64_t stride, const std::vector<int64_t>& offsets, int8_t* row) {
  const size_t depth = offsets.size();
  for (size_t k = 0; k < depth; k += kQuad) {
    for (size_t i = 0; i < kQuad && k + i < depth; ++i) {
      if (offsets[k + i] >= 0) {
        row[offsets[k + i]] = packed[i];
      }
    }
    packed += stride;
  }
}

}  // namespace

void unpack_weight(const PackedView& view, int8_t* weight) {
  const Layout& layout = view.layout;
  if (layout.kind == LayoutKind::kDepthwise) {
    unpack_depthwise(view, weight);
    return;
  }
  const std::array<int64_t, 5> strides = contiguous_strides(view.conv);
  const int64_t out_channels = view.conv.out_channels_per_group();
  const int8_t* packed = view.weight;
  std::vector<int64_t> offsets(static_cast<size_t>(layout.depth));
  for (int64_t first = 0; first < view.conv.out_channels;) {
    const int64_t channels = std::min(kBlockColumns, out_channels - first % out_channels);
    const bool last = (first + channels) % out_channels == 0;
    const int64_t columns = last ? layout.last_columns : kBlockColumns;
    for (int64_t tap = 0; tap < layout.taps; ++tap) {
      weight_offsets(view.conv, layout, strides, tap, 0, layout.depth, offsets.data());
      for (int64_t c = 0; c < channels; ++c) {
        unpack_tap(packed + c * kQuad, columns * kQuad, offsets, weight + (first + c) * strides[0]);
      }
      packed += layout.quads_per_tap() * kQuad * columns;
    }
    first += channels;
  }
}

}  // namespace qconv::native
