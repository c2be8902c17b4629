#include "native/run/requantization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "native/cpu/vector_clones.h"
#include "native/format/layout.h"
#include "native/rounding.h"
#include "native/run/scratch.h"
#include "native/run/unreached_pixels.h"

namespace qconv::native {
namespace {

// Kernels read whole vectors: up to the next block of channels and one more.
int64_t readable_channels(int64_t channels) {
  return round_up(channels, kBlockColumns) + kBlockColumns;
}

// A phase as a convolution of its own. phase: phases.count() for outputs without a tap, which have
// no column sums.
PackedView view_of(const PackedView& packed, const RunPhases& phases, int64_t phase) {
  if (phase < phases.count()) {
    return phase_view(packed, phases.at(phase).phase);
  }
  PackedView view = packed;
  view.column_sums = nullptr;
  return view;
}

// What is to be added to a kernel's sum over (activation, weight - zero point) so that the
// activation's zero point is taken off.
double zero_point_sum(const PackedView& packed, int64_t input_zero_point, int64_t channel) {
  if (packed.column_sums == nullptr) {
    return 0;
  }
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

// Calls use(place, real) for the sums of some pixels: for_each_run calls its argument with the
// first one of a run of them, their number and the step between them. packed: of one phase.
template <typename ForEachRun, typename Use>
void for_each_real_of(
    const PackedView& packed, const RunInput& input, const int32_t* sums,
    const ForEachRun& for_each_run, const Use& use) {
  const int64_t channels = packed.conv.out_channels;
  for (int64_t first = 0; first < channels; first += kChunk) {
    const int64_t count = std::min(kChunk, channels - first);
    std::array<Channel, kChunk> chunk;
    for (int64_t i = 0; i < count; ++i) {
      chunk[i] = Channel(packed, input, first + i);
    }
    for_each_run([&](int64_t first_pixel, int64_t pixels, int64_t step) {
      for (int64_t pixel = first_pixel; pixels > 0; --pixels, pixel += step) {
        for (int64_t i = 0; i < count; ++i) {
          // Not by the type: the memory may be that of the float output.
          int32_t sum;
          std::memcpy(&sum, sums + pixel * channels + first + i, sizeof(sum));
          use(pixel * channels + first + i, chunk[i].real(sum));
        }
      }
    });
  }
}

// Calls use(place, real) for every sum, in an order in which memory is read in runs.
template <typename Use>
void for_each_real(
    const PackedView& packed, const RunPhases& phases, const RunInput& input, const int32_t* sums,
    const Use& use) {
  for (int64_t i = 0; i < phases.count(); ++i) {
    const RunPhase phase = phases.at(i);
    const auto for_each_run = [&](const auto& use_run) {
      for_each_row(phases, phase, input.batch, use_run);
    };
    for_each_real_of(view_of(packed, phases, i), input, sums, for_each_run, use);
  }
  if (!phases.reach_all_outputs()) {
    const UnreachedPixels unreached(phases);
    const auto for_each_run = [&](const auto& use_run) {
      unreached.for_each_run(input.batch, use_run);
    };
    for_each_real_of(view_of(packed, phases, phases.count()), input, sums, for_each_run, use);
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

// The factors of one phase, as readable as kernels want them. Returns whether they are within the
// bounds.
bool fill_tables(
    const PackedView& packed, const RunInput& input, const RunOutput& output, float* multiplier,
    float* offset) {
  const int64_t channels = packed.conv.out_channels;
  const int64_t readable = readable_channels(channels);
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
  return within;
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
    const PackedView& packed, const RunPhases& phases, const RunInput& input,
    const RunOutput& output) {
  const int64_t readable = readable_channels(packed.conv.out_channels);
  const int64_t tables = phases.count() + (phases.reach_all_outputs() ? 0 : 1);
  auto* const factors = static_cast<float*>(scratch(
      ScratchUse::kRequantization, static_cast<size_t>(tables * 2 * readable) * sizeof(float)));
  RequantizationTable table;
  table.requantization = {factors, factors + readable, output.zero_point, output.low, output.high};
  table.phase_stride = 2 * readable;
  table.weight_zero_points = weight_zero_point_table(packed);
  table.exact_in_float32 = true;
  for (int64_t i = 0; i < tables; ++i) {
    float* const multiplier = factors + i * table.phase_stride;
    table.exact_in_float32 &=
        fill_tables(view_of(packed, phases, i), input, output, multiplier, multiplier + readable);
  }
  return table;
}
void requantize_exactly(
    const PackedView& packed, const RunPhases& phases, const RunInput& input, const int32_t* sums,
    const RunOutput& output) {
  for_each_real(packed, phases, input, sums, [&](int64_t place, double real) {
    const double value = std::nearbyint(real / output.scale) + output.zero_point;
    output.data[place] = static_cast<uint8_t>(std::clamp<double>(value, output.low, output.high));
  });
}

void sums_to_float(
    const PackedView& packed, const RunPhases& phases, const RunInput& input, const int32_t* sums,
    float* output) {
  for_each_real(packed, phases, input, sums, [&](int64_t place, double real) {
    const auto value = static_cast<float>(real);
    std::memcpy(output + place, &value, sizeof(value));
  });
}

}  // namespace qconv::native
