#include "native/format/packed_values.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/format/pack.h"
#include "native/format/scale_form.h"
#include "native/format/weight_offset.h"

namespace qconv::native {
namespace {

[[noreturn]] void fail(const std::string& message) {
  throw std::invalid_argument("packed buffer: " + message);
}

// The bytes of one block of output channels, [tap][quad][column][4].
struct Block {
  const int8_t* weight;
  int64_t first_channel;
  int64_t channels;
  int64_t columns;
};

void check_column_sum(const PackedView& view, int64_t channel, int64_t sum) {
  if (view.column_sums[channel] != sum) {
    fail(
        "column sum of output channel " + std::to_string(channel) + " must be " +
        std::to_string(sum) + ", got " + std::to_string(view.column_sums[channel]));
  }
}

void check_zero(int8_t value) {
  if (value != 0) {
    fail("bytes that pad the weights must be 0, got " + std::to_string(value));
  }
}

// Adds up all bytes, those of the padding too.
void check_sums(const PackedView& view, const Block& block) {
  const Layout& layout = view.layout;
  const int64_t quad_bytes = block.columns * kQuad;
  int32_t sums[kBlockColumns * kQuad] = {};
  for (int64_t quad = 0; quad < layout.taps * layout.quads_per_tap(); ++quad) {
    const int8_t* const bytes = block.weight + quad * quad_bytes;
    for (int64_t i = 0; i < quad_bytes; ++i) {
      sums[i] += bytes[i];
    }
  }
  for (int64_t c = 0; c < block.channels; ++c) {
    const int32_t* const sum = sums + c * kQuad;
    check_column_sum(
        view, block.first_channel + c, int64_t{sum[0]} + int64_t{sum[1]} + sum[2] + sum[3]);
  }
}

void check_padding(const PackedView& view, const Block& block) {
  const Layout& layout = view.layout;
  const std::array<int64_t, 5> strides = contiguous_strides(view.conv);
  const int64_t depth = layout.quads_per_tap() * kQuad;
  const bool rows_below = view.conv.kernel[1] % layout.folded_rows != 0;
  for (int64_t tap = 0; tap < layout.taps; ++tap) {
    const int8_t* const bytes = block.weight + tap * depth * block.columns;
    for (int64_t k = rows_below ? 0 : layout.depth; k < depth; ++k) {
      if (k >= layout.depth || weight_offset(view.conv, layout, strides, tap, k) < 0) {
        for (int64_t c = 0; c < block.columns; ++c) {
          check_zero(bytes[(k / kQuad * block.columns + c) * kQuad + k % kQuad]);
        }
      }
    }
    for (int64_t quad = 0; quad < layout.quads_per_tap(); ++quad) {
      for (int64_t i = block.channels * kQuad; i < block.columns * kQuad; ++i) {
        check_zero(bytes[quad * block.columns * kQuad + i]);
      }
    }
  }
}

void check_depthwise(const PackedView& view) {
  const int64_t channels = view.conv.out_channels;
  const int64_t stride = view.layout.weight_bytes / view.layout.taps;
  std::vector<int64_t> sums(static_cast<size_t>(channels));
  for (int64_t tap = 0; tap < view.layout.taps; ++tap) {
    const int8_t* const weight = view.weight + tap * stride;
    for (int64_t c = 0; c < channels; ++c) {
      sums[static_cast<size_t>(c)] += weight[c];
    }
    std::for_each(weight + channels, weight + stride, check_zero);
  }
  for (int64_t c = 0; c < channels; ++c) {
    check_column_sum(view, c, sums[static_cast<size_t>(c)]);
  }
}

}  // namespace

void check_values(const PackedView& view) {
  bool need_float64 = false;
  for (int64_t i = 0; i < view.scale_count; ++i) {
    const double scale = view.scale(i);
    if (!is_scale(scale)) {
      fail("scales must be positive and finite, got " + std::to_string(scale));
    }
    need_float64 = need_float64 || !fits_float32(scale);
  }
  if (need_float64 != (view.double_scales != nullptr)) {
    fail(
        "scales must be stored as float32 if all of them are normal float32 numbers, else as "
        "float64");
  }
  bool any_zero_point = false;
  for (int64_t i = 0; view.zero_points != nullptr && i < view.zero_point_count; ++i) {
    const int32_t zero_point = view.zero_points[i];
    if (zero_point < INT8_MIN || zero_point > INT8_MAX) {
      fail("zero points must be from -128 to 127, got " + std::to_string(zero_point));
    }
    any_zero_point = any_zero_point || zero_point != 0;
  }
  if (any_zero_point != (view.zero_points != nullptr)) {
    fail("zero points must be absent if all of them are 0");
  }
  for (int64_t i = 0; view.bias != nullptr && i < view.conv.out_channels; ++i) {
    if (!std::isfinite(view.bias[i])) {
      fail("bias must be finite, got " + std::to_string(view.bias[i]));
    }
  }
}

void check_weight(const PackedView& view) {
  if (view.layout.kind == LayoutKind::kDepthwise) {
    check_depthwise(view);
    return;
  }
  const int64_t out_channels = view.conv.out_channels_per_group();
  const int8_t* weight = view.weight;
  for (int64_t first = 0; first < view.conv.out_channels;) {
    const int64_t channels = std::min(kBlockColumns, out_channels - first % out_channels);
    const bool last = (first + channels) % out_channels == 0;
    const Block block{weight, first, channels, last ? view.layout.last_columns : kBlockColumns};
    check_sums(view, block);
    check_padding(view, block);
    weight += view.layout.block_bytes(block.columns);
    first += channels;
  }
}

}  // namespace qconv::native
