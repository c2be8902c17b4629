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
constexpr int64_t kChunk = 64;

// Some channels' numbers, in an order that vectors can be computed from.
struct Factors {
  double scale[kChunk];
  double weight_sum[kChunk];  // of (weight - zero point)
  float bias[kChunk];
};

void load_factors(const PackedView& packed, int64_t first, int64_t count, Factors& factors) {
  const double depth =
      static_cast<double>(packed.conv.in_channels_per_group() * packed.conv.taps());
  if (packed.scale_count == 1) {
    std::fill_n(factors.scale, count, packed.scale(0));
  } else if (packed.float_scales != nullptr) {
    std::copy_n(packed.float_scales + first, count, factors.scale);
  } else {
    std::copy_n(packed.double_scales + first, count, factors.scale);
  }
  if (packed.column_sums == nullptr) {
    std::fill_n(factors.weight_sum, count, 0.0);
  } else {
    std::copy_n(packed.column_sums + first, count, factors.weight_sum);
  }
  if (packed.column_sums != nullptr && packed.zero_points != nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      factors.weight_sum[i] -= depth * packed.zero_point(first + i);
    }
  }
  if (packed.bias != nullptr) {
    std::copy_n(packed.bias + first, count, factors.bias);
  } else {
    std::fill_n(factors.bias, count, 0.0F);
  }
}

// Calls use(first channel, channels, their numbers).
template <typename Use>
void for_each_chunk(const PackedView& packed, const Use& use) {
  const int64_t channels = packed.conv.out_channels;
  for (int64_t first = 0; first < channels; first += kChunk) {
    const int64_t count = std::min(kChunk, channels - first);
    Factors factors;
    load_factors(packed, first, count, factors);
    use(first, count, factors);
  }
}

// Layers of thousands of channels are requantized at every call: with vectors that is a matter of
// nanoseconds. Results don't depend on their width. Returns whether all are within the bounds.
QCONV_VECTOR_CLONES bool fill_table(
    const Factors& factors, int64_t count, const FloatBounds& bounds, double input_scale,
    double negated_zero_point, float* __restrict__ multiplier, float* __restrict__ offset) {
  const double ratio = input_scale / bounds.unit;
  const double inverse = 1 / bounds.unit;
  const double constant = bounds.shift;
  for (int64_t i = 0; i < count; ++i) {
    const double factor = factors.scale[i] * ratio;
    const double shift = negated_zero_point * factors.weight_sum[i] * factor;
    multiplier[i] = static_cast<float>(factor);
    offset[i] = static_cast<float>(shift + factors.bias[i] * inverse + constant);
  }
  // Written so that a NaN is outside.
  const float most_multiplier = bounds.most_multiplier;
  const float most_offset = bounds.most_offset;
  int outside = 0;
  for (int64_t i = 0; i < count; ++i) {
    outside |= static_cast<int>(!(multiplier[i] <= most_multiplier)) |
        static_cast<int>(!(std::abs(offset[i]) <= most_offset));
  }
  return outside == 0;
}

// Of each phase, and of outputs that are in none.
int64_t tables_of(const PackedView& packed, const RunPhases& phases) {
  return phases.count() + (packed.conv.transposed ? 1 : 0);
}

// What table number `i` is made from. Outputs that are in no phase have no weights: column_sums is
// null.
PackedView view_of(const PackedView& packed, const RunPhases& phases, int64_t i) {
  if (i < phases.count()) {
    return phase_view(packed, phases.at(i).phase);
  }
  PackedView view = packed;
  view.column_sums = nullptr;
  return view;
}

template <typename Number>
Number* table_memory(int64_t count) {
  return static_cast<Number*>(
      scratch(ScratchUse::kFactors, static_cast<size_t>(count) * sizeof(Number)));
}

}  // namespace

int64_t readable_channels(int64_t channels) {
  return round_up(channels, kBlockColumns) + kBlockColumns;
}

FloatFactors float_factors(
    const PackedView& packed, const RunPhases& phases, const RunInput& input,
    const FloatBounds& bounds) {
  const int64_t channels = packed.conv.out_channels;
  const int64_t readable = readable_channels(channels);
  const int64_t tables = tables_of(packed, phases);
  auto* const memory = table_memory<float>(tables * 2 * readable);
  bool within = true;
  for (int64_t i = 0; i < tables; ++i) {
    float* const multiplier = memory + i * 2 * readable;
    float* const offset = multiplier + readable;
    for_each_chunk(
        view_of(packed, phases, i), [&](int64_t first, int64_t count, const Factors& factors) {
          within &= fill_table(
              factors, count, bounds, input.scale, -unsigned_zero_point(input), multiplier + first,
              offset + first);
        });
    std::fill(multiplier + channels, multiplier + readable, 0.0F);
    std::fill(offset + channels, offset + readable, 0.0F);
  }
  return {memory, memory + readable, 2 * readable, within};
}

DoubleFactors double_factors(
    const PackedView& packed, const RunPhases& phases, const RunInput& input) {
  const int64_t readable = readable_channels(packed.conv.out_channels);
  const int64_t tables = tables_of(packed, phases);
  auto* const memory = table_memory<double>(tables * 3 * readable);
  for (int64_t i = 0; i < tables; ++i) {
    double* const zero_point_sum = memory + i * 3 * readable;
    double* const scale = zero_point_sum + readable;
    double* const bias = scale + readable;
    for_each_chunk(
        view_of(packed, phases, i), [&](int64_t first, int64_t count, const Factors& factors) {
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
