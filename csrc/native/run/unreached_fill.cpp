#include "native/run/unreached_fill.h"

#include <algorithm>

#include "native/run/dense_call.h"
#include "native/run/parts.h"
#include "native/run/scratch.h"
#include "native/run/thread_count.h"
#include "native/run/unreached_pixels.h"

namespace qconv::native {

// One tap, all zeros, with the sums in the place of what weights' zero points take off.
void write_pixels(
    const ConvRun& run, const int32_t* negated_sums, int64_t first, int64_t count, int64_t step) {
  static constexpr int64_t kNoOffset = 0;
  alignas(64) static constexpr uint16_t kActivation[64] = {};
  alignas(64) static constexpr int8_t kWeight[2 * kQuad * kBlockColumns] = {};
  const int64_t out_channels = run.packed.conv.out_channels;
  DenseArguments arguments;
  arguments.activation = kActivation;
  arguments.pixels = count;
  arguments.tap_offsets = &kNoOffset;
  arguments.taps = 1;
  arguments.weight = kWeight;
  arguments.k_blocks = 1;
  arguments.quads = 1;
  arguments.used_quads = 1;
  arguments.out_channels = out_channels;
  arguments.output = {run.output_at(first, 0), step * out_channels, 0, count, count};
  if (negated_sums != nullptr) {
    auto* const ones = static_cast<int32_t*>(
        scratch(ScratchUse::kActivationSums, static_cast<size_t>(count) * sizeof(int32_t)));
    std::fill_n(ones, count, 1);
    arguments.weight_zero_points = negated_sums;
    arguments.activation_sums = ones;
  }
  set_store(run, run.phases.count(), 0, arguments);
  store_dense(run, run.phases.count(), arguments);
}

void fill_unreached(const ConvRun& run) {
  if (run.phases.reach_all_outputs()) {
    return;
  }
  const UnreachedPixels unreached(run.phases);
  for_each_range(
      run.parallel_for, useful_threads(run), unreached.rows(run.input.batch),
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          unreached.for_each_run_in_row(row, [&](int64_t first, int64_t count, int64_t step) {
            write_pixels(run, nullptr, first, count, step);
          });
        }
      });
}

}  // namespace qconv::native
