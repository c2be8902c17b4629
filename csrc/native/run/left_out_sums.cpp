#include "native/run/left_out_sums.h"

#include <algorithm>

#include "native/run/dense_call.h"
#include "native/run/factors.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

// What is left out may leave int32 where the whole sum doesn't.
int32_t wrapped(uint32_t sum) {
  return static_cast<int32_t>(sum);
}

// Calls use(its number, cut) for every combination that lacks taps.
template <typename Use>
void for_each_lacking(const ReachedTaps& reached, const Use& use) {
  const auto& [depths, rows, columns] = reached.cuts();
  for (ReachedCut cut{0, 0, 0}; cut[0] < depths.count; ++cut[0]) {
    for (cut[1] = 0; cut[1] < rows.count; ++cut[1]) {
      for (cut[2] = 0; cut[2] < columns.count; ++cut[2]) {
        if (!reached.has_all(cut)) {
          use(reached.number(cut), cut);
        }
      }
    }
  }
}

// The sums over one tap's weights for each output channel, by the kernel itself: on a pixel of
// ones.
void sum_tap(const ConvRun& run, int64_t tap, const void* ones, int32_t* sums) {
  static constexpr int64_t kNoOffset = 0;
  for_each_group(run, 0, all_blocks(run), [&](const PhaseBlocks& blocks) {
    DenseArguments arguments = block_arguments(run, blocks);
    arguments.activation = ones;
    arguments.pixels = 1;
    arguments.taps = 1;
    arguments.tap_offsets = &kNoOffset;
    arguments.tap_places = &tap;
    arguments.weight_zero_points = nullptr;
    arguments.store = Store::kSums;
    arguments.output = {sums + blocks.channel, run.packed.conv.out_channels, 0, 1, 1};
    run.kernels.dense(arguments);
  });
}

}  // namespace

int64_t left_out_stride(const ConvRun& run) {
  return readable_channels(run.packed.conv.out_channels);
}

const int32_t* left_out_sums(const ConvRun& run) {
  const int32_t zero_point = run.input_zero_point();
  if (run.reached.all() || zero_point == 0) {
    return nullptr;
  }
  const Layout& layout = run.packed.layout;
  const int64_t channels = run.packed.conv.out_channels;
  const int64_t stride = left_out_stride(run);
  const int64_t count = run.reached.combinations() * stride;
  const int64_t ones = layout.quads_per_tap() * kQuad + kReadableBeyond;
  auto* const sums = static_cast<int32_t*>(scratch(
      ScratchUse::kLeftOutSums, static_cast<size_t>(count + channels + ones) * sizeof(int32_t)));
  int32_t* const tap_sums = sums + count;
  int32_t* const pixel = tap_sums + channels;
  if (run.kernels.widen == nullptr) {
    std::fill_n(reinterpret_cast<uint8_t*>(pixel), ones, uint8_t{1});
  } else {
    std::fill_n(reinterpret_cast<uint16_t*>(pixel), ones, uint16_t{1});
  }
  // Of all weights, less those of the taps that are left.
  std::fill_n(sums, count, 0);
  for_each_lacking(run.reached, [&](int64_t number, const ReachedCut&) {
    std::copy_n(run.packed.column_sums, channels, sums + number * stride);
  });
  for (int64_t tap = 0; tap < layout.taps; ++tap) {
    bool summed = false;
    for_each_lacking(run.reached, [&](int64_t number, const ReachedCut& cut) {
      if (!run.reached.has_tap(layout, cut, tap)) {
        return;
      }
      if (!summed) {
        sum_tap(run, tap, pixel, tap_sums);
        summed = true;
      }
      int32_t* const sum = sums + number * stride;
      for (int64_t c = 0; c < channels; ++c) {
        sum[c] = wrapped(static_cast<uint32_t>(sum[c]) - static_cast<uint32_t>(tap_sums[c]));
      }
    });
  }
  for (int64_t i = 0; i < count; ++i) {
    sums[i] = wrapped(static_cast<uint32_t>(sums[i]) * static_cast<uint32_t>(zero_point));
  }
  return sums;
}

}  // namespace qconv::native
