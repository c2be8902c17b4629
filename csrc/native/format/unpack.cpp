#include "native/format/unpack.h"

#include <algorithm>
#include <vector>

#include "native/format/pack.h"
#include "native/format/weight_offset.h"

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
      for (int64_t k = 0; k < layout.depth; ++k) {
        offsets[static_cast<size_t>(k)] = weight_offset(view.conv, layout, strides, tap, k);
      }
      for (int64_t c = 0; c < channels; ++c) {
        int8_t* const row = weight + (first + c) * strides[0];
        for (int64_t k = 0; k < layout.depth; ++k) {
          const int64_t offset = offsets[static_cast<size_t>(k)];
          if (offset >= 0) {
            row[offset] = packed[(k / kQuad * columns + c) * kQuad + k % kQuad];
          }
        }
      }
      packed += layout.quads_per_tap() * kQuad * columns;
    }
    first += channels;
  }
}

}  // namespace qconv::native
