#include "native/run/reached_cut.h"

#include "native/run/left_out_sums.h"
#include "native/run/scratch.h"

namespace qconv::native {

int64_t leave_reached_taps(
    const ConvRun& run, const PhaseBlocks& blocks, const ReachedCut& cut,
    DenseArguments& arguments) {
  auto* const offsets = static_cast<int64_t*>(
      scratch(ScratchUse::kReachedTaps, static_cast<size_t>(2 * arguments.taps) * sizeof(int64_t)));
  int64_t* const places = offsets + arguments.taps;
  int64_t first = 0;
  int64_t taps = 0;
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    if (run.reached.has_tap(blocks.phase.phase.layout, cut, tap)) {
      const int64_t offset = arguments.tap_offsets[tap];
      first = taps == 0 ? offset : first;
      places[taps] = tap;
      offsets[taps] = offset - first;
      ++taps;
    }
  }
  arguments.tap_places = taps == arguments.taps ? nullptr : places;
  arguments.tap_offsets = offsets;
  arguments.taps = taps;
  if (run.left_out_sums != nullptr && !run.reached.has_all(cut)) {
    arguments.first_sums =
        run.left_out_sums + run.reached.number(cut) * left_out_stride(run) + blocks.channel;
  }
  return first;
}

}  // namespace qconv::native
