#include "native/run/requantization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "native/cpu/vector_clones.h"
#include "native/format/layout.h"
#include "native/rounding.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

// Kernels read whole vectors: up to the next block of channels and one more.
int64_t readable_channels(int64_t channels) {
  return round_up(channels, kBlockColumns) + kBlockColumns;
}

// What is to be added to a kernel's sum over (activation, weight - zero point) so that the
// activation's zero point is taken off.
double zero_point_sum(const PackedView& packed, int64_t input_zero_point, int64_t channel) {
  const int64_t depth = packed.conv.in_channels_per_group() * packed.conv.taps();
  const int64_t weights = packed.column_sums[channel] - depth * packed.zero_point(channel);
  return -static_cast<double>(input_zero_point * weights);
}

// real = (sum + zero_point_sum) * scale + bias for one channel.
struct Channel {
  double zero_point_sum = 0;
  double scale = 1;
  double bias = 0;

  Channel() = default;
  Channel(const PackedView& packed, const RunInput& input, int64_t channel)
      : zero_point_sum(native::zero_point_sum(packed, input.zero_point, channel)),
        scale(input.scale * packed.scale(channel)),
        bias(packed.bias == nullptr ? 0 : packed.bias[channel]) {}

  double real(int32_t sum) const { return (sum + zero_point_sum) * scale + bias; }
};

// Kernels' values before rounding, of outputs that aren't clamped, are sum * multiplier + offset,
// below 512 in size: so sum * multiplier is below `offset` + 512. float32 rounds the sum, the
// multiplier and the offset by 2^-24 of their size: with 4096 the whole error is below 8.2e-4.
constexpr float kLargestOffset = 4096;
// No sum, however large, leaves int32 when it is multiplied by less.
constexpr float kLargestMultiplier = 0.5;

// Channels that are looked at together.
constexpr int64_t kChunk = 64;

// Calls use(place, real) for every sum, in an order in which memory is read in runs.
template <typename Use>
void for_each_real(
    const PackedView& packed, const RunInput& input, const int32_t* sums, int64_t pixels,
    const Use& use) {
  const int64_t channels = packed.conv.out_channels;
  for (int64_t first = 0; first < channels; first += kChunk) {
    const int64_t count = std::min(kChunk, channels - first);
    std::array<Channel, kChunk> chunk;
    for (int64_t i = 0; i < count; ++i) {
      chunk[i] = Channel(packed, input, first + i);
    }
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      for (int64_t i = 0; i < count; ++i) {
        // Not by the type: the memory may be that of the float output.
        int32_t sum;
        std::memcpy(&sum, sums + pixel * channels + first + i, sizeof(sum));
        use(pixel * channels + first + i, chunk[i].real(sum));
      }
    }
  }
}

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
  std::copy_n(packed.column_sums + first, count, factors.weight_sum);
  if (packed.zero_points != nullptr) {
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

// Layers of thousands of channels are requantized at every call: with vectors that is a matter of
// nanoseconds. Results don't depend on their width. Returns whether all are within the bounds.
QCONV_VECTOR_CLONES bool fill_table(
    const Factors& factors, int64_t count, double ratio, double inverse, double negated_zero_point,
    float* __restrict__ multiplier, float* __restrict__ offset) {
  for (int64_t i = 0; i < count; ++i) {
    const double factor = factors.scale[i] * ratio;
    const double shift = negated_zero_point * factors.weight_sum[i] * factor;
    multiplier[i] = static_cast<float>(factor);
    offset[i] = static_cast<float>(shift + factors.bias[i] * inverse);
  }
  // Written so that a NaN is outside.
  int outside = 0;
  for (int64_t i = 0; i < count; ++i) {
    outside |= static_cast<int>(!(multiplier[i] <= kLargestMultiplier)) |
        static_cast<int>(!(std::abs(offset[i]) <= kLargestOffset));
  }
  return outside == 0;
}

}  // namespace

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

RequantizationTable requantization_table(
    const PackedView& packed, const RunInput& input, const RunOutput& output) {
  const int64_t channels = packed.conv.out_channels;
  const int64_t readable = readable_channels(channels);
  auto* const multiplier = static_cast<float*>(
      scratch(ScratchUse::kRequantization, static_cast<size_t>(2 * readable) * sizeof(float)));
  float* const offset = multiplier + readable;
  bool within = true;
  for (int64_t first = 0; first < channels; first += kChunk) {
    const int64_t count = std::min(kChunk, channels - first);
    Factors factors;
    load_factors(packed, first, count, factors);
    within &= fill_table(
        factors, count, input.scale / output.scale, 1 / output.scale, -input.zero_point,
        multiplier + first, offset + first);
  }
  std::fill(multiplier + channels, multiplier + readable, 0.0F);
  std::fill(offset + channels, offset + readable, 0.0F);
  RequantizationTable table;
  table.requantization = {multiplier, offset, output.zero_point, output.low, output.high};
  table.weight_zero_points = weight_zero_point_table(packed);
  table.exact_in_float32 = within;
  return table;
}

void requantize_exactly(
    const PackedView& packed, const RunInput& input, const int32_t* sums, int64_t pixels,
    const RunOutput& output) {
  for_each_real(packed, input, sums, pixels, [&](int64_t place, double real) {
    const double value = std::nearbyint(real / output.scale) + output.zero_point;
    output.data[place] = static_cast<uint8_t>(std::clamp<double>(value, output.low, output.high));
  });
}

void sums_to_float(
    const PackedView& packed, const RunInput& input, const int32_t* sums, int64_t pixels,
    float* output) {
  for_each_real(packed, input, sums, pixels, [&](int64_t place, double real) {
    const auto value = static_cast<float>(real);
    std::memcpy(output + place, &value, sizeof(value));
  });
}

}  // namespace qconv::native
