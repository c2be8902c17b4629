#include "native/format/packed_values.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/format/combined_groups.h"
#include "native/format/pack.h"
#include "native/format/unpack.h"
#include "native/format/value_rules.h"
#include "native/format/weight_offsets.h"

namespace qconv::native {
namespace {

[[noreturn]] void fail(const std::string& message) {
  throw std::invalid_argument("packed buffer: " + message);
}

template <typename Value, typename IsValid>
void check_each(
    const char* name, const Value* values, int64_t count, const IsValid& is_valid,
    const char* expected) {
  const Value* const invalid = first_invalid(values, count, is_valid);
  if (invalid != nullptr) {
    fail(std::string(name) + " must be " + expected + ", got " + std::to_string(*invalid));
  }
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
  const int64_t depth = layout.quads_per_tap() * kQuad;
  const bool rows_below = view.conv.kernel[1] % layout.folded_rows != 0;
  std::vector<int64_t> offsets(static_cast<size_t>(rows_below ? layout.depth : 0));
  for (int64_t tap = 0; tap < layout.taps; ++tap) {
    const int8_t* const bytes = block.weight + tap * depth * block.columns;
    const auto check_zero_at = [&](int64_t k, int64_t column) {
      check_zero(bytes[(k / kQuad * block.columns + column) * kQuad + k % kQuad]);
    };
    weight_offsets(
        view.conv, layout, contiguous_strides(view.conv), tap, 0,
        static_cast<int64_t>(offsets.size()), offsets.data());
    for (int64_t k = rows_below ? 0 : layout.depth; k < depth; ++k) {
      if (k >= layout.depth || offsets[static_cast<size_t>(k)] == kNoWeight) {
        for (int64_t column = 0; column < block.columns; ++column) {
          check_zero_at(k, column);
        }
      }
    }
    for (int64_t column = block.channels; column < block.columns; ++column) {
      for (int64_t k = 0; k < depth; ++k) {
        check_zero_at(k, column);
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

void check_dense(const PackedView& view) {
  const int64_t out_channels = view.conv.out_channels / view.layout.groups;
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

// Between the inputs of one and the outputs of another of the groups that were combined.
void check_between_groups(const PackedView& packed) {
  std::vector<int8_t> combined(static_cast<size_t>(packed.conv.weights()));
  unpack_combined_weight(packed, combined.data());
  std::vector<int8_t> weight(static_cast<size_t>(packed.original.weights()));
  separate_weight(packed.original, combined.data(), weight.data());
  const std::vector<int8_t> expected = combine_weight(
      packed.original, weight.data(), contiguous_strides(packed.original), packed.zero_points,
      packed.zero_point_count != 1);
  if (combined != expected) {
    fail("bytes between groups must be the zero point of their output channel");
  }
}

}  // namespace

void check_values(const PackedView& view) {
  constexpr const char* kScale = "positive, finite and normal";
  if (view.float_scales != nullptr) {
    check_each("scales", view.float_scales, view.scale_count, is_scale, kScale);
  } else {
    check_each("scales", view.double_scales, view.scale_count, is_scale, kScale);
    if (first_invalid(view.double_scales, view.scale_count, fits_float32) == nullptr) {
      fail("scales that are all normal float32 numbers must be stored as such");
    }
  }
  if (view.zero_points != nullptr) {
    const int32_t* const end = view.zero_points + view.zero_point_count;
    check_each(
        "zero points", view.zero_points, view.zero_point_count, is_weight_zero_point,
        "from -128 to 127");
    if (std::all_of(view.zero_points, end, [](int32_t value) { return value == 0; })) {
      fail("zero points that are all 0 must be absent");
    }
  }
  if (view.bias != nullptr) {
    check_each("bias", view.bias, view.conv.out_channels, is_bias, "finite");
  }
}

void check_weight(const PackedView& packed) {
  const Phases phases(packed.conv);
  for (int64_t i = 0; i < phases.count(); ++i) {
    const PackedView view = phase_view(packed, phases.at(i));
    view.layout.kind == LayoutKind::kDepthwise ? check_depthwise(view) : check_dense(view);
  }
  if (packed.original.groups != packed.conv.groups) {
    check_between_groups(packed);
  }
}

}  // namespace qconv::native
