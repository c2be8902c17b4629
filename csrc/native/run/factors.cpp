#include "native/run/factors.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/vector_clones.h"
#include "native/format/layout.h"
#include "native/rounding.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

// Kernels sum over activations as unsigned bytes (see ConvRun).
double unsigned_zero_point(const RunInput& input) {
  return input.zero_point - smallest_of(input.type);
}

// Channels that are looked at together.
constexpr int64_t kChunk = 256;

// What the factors of a call have in common.
struct Common {
  double ratio;    // of the input's scale to the unit of the factors
  double inverse;  // of that unit
  double shift;
  double negated_zero_point;
  float most_multiplier;
  float most_offset;

  Common(const RunInput& input, const FloatBounds& bounds)
      : ratio(input.scale / bounds.unit),
        inverse(1 / bounds.unit),
        shift(bounds.shift),
        negated_zero_point(-unsigned_zero_point(input)),
        most_multiplier(bounds.most_multiplier),
        most_offset(bounds.most_offset) {}
};

// Of some channels; weight_sum: of (weight - zero point). Returns whether all are within the
// bounds.
template <typename Scale, typename Sum>
inline __attribute__((always_inline)) bool fill(
    const Scale* scale, const Sum* weight_sum, const float* bias, int64_t count,
    const Common& common, float* __restrict__ multiplier, float* __restrict__ offset) {
  const auto [ratio, inverse, shift, negated_zero_point, most_multiplier, most_offset] = common;
  for (int64_t i = 0; i < count; ++i) {
    const double factor = scale[i] * ratio;
    const double zero_point_shift = negated_zero_point * weight_sum[i] * factor;
    multiplier[i] = static_cast<float>(factor);
    offset[i] = static_cast<float>(zero_point_shift + bias[i] * inverse + shift);
  }
  // Written so that a NaN is outside.
  int outside = 0;
  for (int64_t i = 0; i < count; ++i) {
    outside |= static_cast<int>(!(multiplier[i] <= most_multiplier)) |
        static_cast<int>(!(std::abs(offset[i]) <= most_offset));
  }
  return outside == 0;
}

// Layers of thousands of channels are requantized at every call: with vectors that is a matter of
// nanoseconds. Results don't depend on their width.
QCONV_VECTOR_CLONES bool fill_table(
    const double* scale, const double* weight_sum, const float* bias, int64_t count,
    const Common& common, float* multiplier, float* offset) {
  return fill(scale, weight_sum, bias, count, common, multiplier, offset);
}

// The same from numbers as packed buffers hold them.
QCONV_VECTOR_CLONES bool fill_table(
    const double* scale, const int32_t* weight_sum, const float* bias, int64_t count,
    const Common& common, float* multiplier, float* offset) {
  return fill(scale, weight_sum, bias, count, common, multiplier, offset);
}

QCONV_VECTOR_CLONES bool fill_table(
    const float* scale, const int32_t* weight_sum, const float* bias, int64_t count,
    const Common& common, float* multiplier, float* offset) {
  return fill(scale, weight_sum, bias, count, common, multiplier, offset);
}

// Some channels' numbers in float64.
struct Factors {
  double scale[kChunk];
  double weight_sum[kChunk];
  float bias[kChunk];
};

void load_factors(const PackedView& packed, int64_t first, int64_t count, Factors& factors) {
  const double depth =
      static_cast<double>(packed.conv.in_channels_per_group() * packed.conv.taps());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t channel = first + i;
    factors.scale[i] = packed.scale(channel);
    factors.weight_sum[i] = packed.column_sums == nullptr
        ? 0
        : packed.column_sums[channel] - depth * packed.zero_point(channel);
    factors.bias[i] = packed.bias == nullptr ? 0 : packed.bias[channel];
  }
}

// Calls use(first channel, channels) for all of them.
template <typename Use>
void for_each_chunk(const PackedView& packed, const Use& use) {
  const int64_t channels = packed.conv.out_channels;
  for (int64_t first = 0; first < channels; first += kChunk) {
    use(first, std::min(kChunk, channels - first));
  }
}

// From weights without zero points, whose scales are these.
template <typename Scale>
bool fill_tables(
    const PackedView& packed, const Scale* packed_scales, const Common& common, float* multiplier,
    float* offset) {
  static constexpr float kNoBias[kChunk] = {};
  const bool one_scale = packed.scale_count == 1;
  Scale scales[kChunk];
  if (one_scale) {
    std::fill_n(scales, std::min(kChunk, packed.conv.out_channels), packed_scales[0]);
  }
  bool within = true;
  for_each_chunk(packed, [&](int64_t first, int64_t count) {
    within &= fill_table(
        one_scale ? scales : packed_scales + first, packed.column_sums + first,
        packed.bias == nullptr ? kNoBias : packed.bias + first, count, common, multiplier + first,
        offset + first);
  });
  return within;
}

// Returns whether all are within the bounds.
bool fill_tables(const PackedView& packed, const Common& common, float* multiplier, float* offset) {
  if (packed.column_sums != nullptr && packed.zero_points == nullptr) {
    return packed.float_scales != nullptr
        ? fill_tables(packed, packed.float_scales, common, multiplier, offset)
        : fill_tables(packed, packed.double_scales, common, multiplier, offset);
  }
  bool within = true;
  for_each_chunk(packed, [&](int64_t first, int64_t count) {
    Factors factors;
    load_factors(packed, first, count, factors);
    within &= fill_table(
        factors.scale, factors.weight_sum, factors.bias, count, common, multiplier + first,
        offset + first);
  });
  return within;
}

template <typename Number>
Number* table_memory(int64_t count) {
  return static_cast<Number*>(
      scratch(ScratchUse::kFactors, static_cast<size_t>(count) * sizeof(Number)));
}

}  // namespace

PackedView FactorTables::view(int64_t table) const {
  if (table < phases.count()) {
    return phase_view(packed, phases.at(table).phase);
  }
  PackedView view = packed;
  view.column_sums = nullptr;
  return view;
}

int64_t readable_channels(int64_t channels) {
  return round_up(channels, kBlockColumns) + kBlockColumns;
}

FloatFactors float_factors(
    const FactorTables& tables, const RunInput& input, const FloatBounds& bounds) {
  const int64_t channels = tables.packed.conv.out_channels;
  const int64_t readable = readable_channels(channels);
  auto* const memory = table_memory<float>(tables.count() * 2 * readable);
  const Common common(input, bounds);
  bool within = true;
  for (int64_t i = 0; i < tables.count(); ++i) {
    float* const multiplier = memory + i * 2 * readable;
    float* const offset = multiplier + readable;
    within &= fill_tables(tables.view(i), common, multiplier, offset);
    std::fill(multiplier + channels, multiplier + readable, 0.0F);
    std::fill(offset + channels, offset + readable, 0.0F);
  }
  return {memory, memory + readable, 2 * readable, within};
}

DoubleFactors double_factors(const FactorTables& tables, const RunInput& input) {
  const int64_t readable = readable_channels(tables.packed.conv.out_channels);
  auto* const memory = table_memory<double>(tables.count() * 3 * readable);
  for (int64_t i = 0; i < tables.count(); ++i) {
    double* const zero_point_sum = memory + i * 3 * readable;
    double* const scale = zero_point_sum + readable;
    double* const bias = scale + readable;
    const PackedView view = tables.view(i);
    for_each_chunk(view, [&](int64_t first, int64_t count) {
      Factors factors;
      load_factors(view, first, count, factors);
      for (int64_t c = 0; c < count; ++c) {
        // What takes the activation's zero point off.
        zero_point_sum[first + c] = -unsigned_zero_point(input) * factors.weight_sum[c];
        scale[first + c] = input.scale * factors.scale[c];
        bias[first + c] = factors.bias[c];
      }
    });
  }
  return {memory, memory + readable, memory + 2 * readable, 3 * readable};
}

const int32_t* weight_zero_point_table(const PackedView& packed) {
  if (packed.zero_points == nullptr) {
    return nullptr;
  }
  const int64_t channels = packed.conv.out_channels;
  const int64_t readable = readable_channels(channels);
  auto* const table = static_cast<int32_t*>(
      scratch(ScratchUse::kZeroPoints, static_cast<size_t>(readable) * sizeof(int32_t)));
  for (int64_t channel = 0; channel < channels; ++channel) {
    table[channel] = packed.zero_point(channel);
  }
  std::fill(table + channels, table + readable, 0);
  return table;
}

}  // namespace qconv::native
