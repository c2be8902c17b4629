#include "native/format/unpack.h"

#include <algorithm>
#include <vector>

#include "native/format/combined_groups.h"
#include "native/format/weight_offsets.h"

namespace qconv::native {
namespace {

void unpack_depthwise(const PackedView& view, const WeightStrides& strides, int8_t* weight) {
  const Extent& kernel = view.conv.kernel;
  const int64_t tap_bytes = view.layout.weight_bytes / view.layout.taps;
  const int8_t* packed = view.weight;
  for (int64_t d = 0; d < kernel[0]; ++d) {
    for (int64_t h = 0; h < kernel[1]; ++h) {
      for (int64_t w = 0; w < kernel[2]; ++w, packed += tap_bytes) {
        int8_t* const tap =
            weight + d * strides.kernel[0] + h * strides.kernel[1] + w * strides.kernel[2];
        for (int64_t channel = 0; channel < view.conv.out_channels; ++channel) {
          tap[channel * strides.group] = packed[channel];
        }
      }
    }
  }
}

// One output channel of a tap: 4 bytes in every `stride`, the one at k to row[offsets[k]].
void unpack_tap(
    const int8_t* packed, int64_t stride, const std::vector<int64_t>& offsets, int8_t* row) {
  const size_t depth = offsets.size();
  for (size_t k = 0; k < depth; k += kQuad) {
    for (size_t i = 0; i < kQuad && k + i < depth; ++i) {
      if (offsets[k + i] != kNoWeight) {
        row[offsets[k + i]] = packed[i];
      }
    }
    packed += stride;
  }
}

void unpack_dense(const PackedView& view, const WeightStrides& strides, int8_t* weight) {
  const Layout& layout = view.layout;
  const int64_t out_channels = view.conv.out_channels / layout.groups;
  const int8_t* packed = view.weight;
  std::vector<int64_t> offsets(static_cast<size_t>(layout.depth));
  for (int64_t first = 0; first < view.conv.out_channels;) {
    const int64_t channels = std::min(kBlockColumns, out_channels - first % out_channels);
    const bool last = (first + channels) % out_channels == 0;
    const int64_t columns = last ? layout.last_columns : kBlockColumns;
    for (int64_t tap = 0; tap < layout.taps; ++tap) {
      weight_offsets(view.conv, layout, strides, tap, 0, layout.depth, offsets.data());
      for (int64_t c = 0; c < channels; ++c) {
        unpack_tap(
            packed + c * kQuad, columns * kQuad, offsets,
            weight + strides.channel_offset(view.conv, first + c));
      }
      packed += layout.quads_per_tap() * kQuad * columns;
    }
    first += channels;
  }
}

}  // namespace

void unpack_combined_weight(const PackedView& packed, int8_t* weight) {
  const WeightStrides strides = contiguous_strides(packed.conv);
  const Phases phases(packed.conv);
  for (int64_t i = 0; i < phases.count(); ++i) {
    const Phase phase = phases.at(i);
    const PackedView view = phase_view(packed, phase);
    const PhaseWeight place = weight_of_phase(strides, phase);
    view.layout.kind == LayoutKind::kDepthwise
        ? unpack_depthwise(view, place.strides, weight + place.first)
        : unpack_dense(view, place.strides, weight + place.first);
  }
}

void unpack_weight(const PackedView& packed, int8_t* weight) {
  if (packed.original.groups != packed.conv.groups) {
    std::vector<int8_t> combined(static_cast<size_t>(packed.conv.weights()));
    unpack_combined_weight(packed, combined.data());
    separate_weight(packed.original, combined.data(), weight);
  } else {
    unpack_combined_weight(packed, weight);
  }
}

}  // namespace qconv::native
