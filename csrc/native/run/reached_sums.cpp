#include "native/run/reached_sums.h"

#include <algorithm>

#include "native/run/dense_call.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

// Calls use(table, cuts) for every table.
template <typename Use>
void for_each_table(const ReachedTaps& reached, const Use& use) {
  const TapCuts& depths = reached.cuts()[0];
  const TapCuts& rows = reached.cuts()[1];
  const TapCuts& columns = reached.cuts()[2];
  for (std::array<size_t, 3> cut{0, 0, 0}; cut[0] < depths.count; ++cut[0]) {
    for (cut[1] = 0; cut[1] < rows.count; ++cut[1]) {
      for (cut[2] = 0; cut[2] < columns.count; ++cut[2]) {
        if (const int64_t table = reached.table(cut); table != 0) {
          use(table, cut);
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

const int32_t* reached_sums(const ConvRun& run) {
  const int64_t tables = run.reached.tables();
  if (tables == 0) {
    return nullptr;
  }
  const Layout& layout = run.packed.layout;
  const int64_t channels = run.packed.conv.out_channels;
  const int64_t ones = layout.quads_per_tap() * kQuad + kReadableBeyond;
  auto* const sums = static_cast<int32_t*>(scratch(
      ScratchUse::kReachedSums,
      static_cast<size_t>((tables + 1) * channels + ones) * sizeof(int32_t)));
  int32_t* const tap_sums = sums + tables * channels;
  int32_t* const pixel = tap_sums + channels;
  if (run.kernels.widen == nullptr) {
    std::fill_n(reinterpret_cast<uint8_t*>(pixel), ones, uint8_t{1});
  } else {
    std::fill_n(reinterpret_cast<uint16_t*>(pixel), ones, uint16_t{1});
  }
  std::fill_n(sums, tables * channels, 0);
  for (int64_t tap = 0; tap < layout.taps; ++tap) {
    bool summed = false;
    for_each_table(run.reached, [&](int64_t table, const std::array<size_t, 3>& cut) {
      if (!run.reached.has_tap(layout, cut, tap)) {
        return;
      }
      if (!summed) {
        sum_tap(run, tap, pixel, tap_sums);
        summed = true;
      }
      int32_t* const sum = sums + (table - 1) * channels;
      for (int64_t c = 0; c < channels; ++c) {
        sum[c] += tap_sums[c];
      }
    });
  }
  return sums;
}

}  // namespace qconv::native
