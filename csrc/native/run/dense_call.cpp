#include "native/run/dense_call.h"

#include "native/rounding.h"
#include "native/run/scratch.h"
#include "native/run/sums_pass.h"

namespace qconv::native {
namespace {

// Sums what every pixel's weights are multiplied with, for weights with zero points: `left_out` and
// the taps' activations. Of a tap that holds several rows, those below the kernel don't count.
template <typename Element>
void sum_activations(
    const Phase& phase, const DenseArguments& arguments, int32_t left_out, int32_t* sums) {
  const int64_t folded = phase.layout.folded_rows;
  const int64_t row_values = phase.conv.in_channels_per_group();
  const int64_t chunk = folded == 1 ? phase.layout.depth : folded * row_values;
  const int64_t row_groups = ceil_divide(phase.conv.kernel[1], folded);
  const int64_t last_rows = phase.conv.kernel[1] - (row_groups - 1) * folded;
  const auto* pixel = static_cast<const Element*>(arguments.activation);
  for (int64_t p = 0; p < arguments.pixels; ++p, pixel += arguments.pixel_stride) {
    int32_t sum = left_out;
    for (int64_t tap = 0; tap < arguments.taps; ++tap) {
      const bool cut = folded > 1 && tap % row_groups == row_groups - 1;
      const int64_t counted = cut ? last_rows * row_values : chunk;
      const Element* values = pixel + arguments.tap_offsets[tap];
      for (int64_t k = 0; k < phase.layout.depth; k += chunk, values += chunk) {
        for (int64_t i = 0; i < counted; ++i) {
          sum += values[i];
        }
      }
    }
    sums[p] = sum;
  }
}

}  // namespace

DenseArguments block_arguments(const ConvRun& run, const PhaseBlocks& blocks) {
  const Phase& phase = blocks.phase.phase;
  const Layout& layout = phase.layout;
  DenseArguments arguments;
  arguments.taps = layout.taps;
  arguments.weight = run.packed.weight + phase.weight_offset + blocks.group * layout.group_bytes() +
      blocks.first_block * layout.block_bytes();
  arguments.block_stride = layout.block_bytes();
  arguments.k_blocks = layout.k_blocks;
  arguments.quads = layout.quads;
  arguments.used_quads = layout.used_quads();
  arguments.out_channels = std::min(
      blocks.blocks * kBlockColumns,
      phase.conv.out_channels / layout.groups - blocks.first_block * kBlockColumns);
  arguments.last_columns =
      blocks.first_block + blocks.blocks == layout.blocks ? layout.last_columns : kBlockColumns;
  if (layout.kind == LayoutKind::kGrouped) {
    arguments.group_inputs = phase.conv.in_channels_per_group();
    arguments.group_outputs = phase.conv.out_channels_per_group();
  }
  if (run.plan.weight_zero_points != nullptr) {
    arguments.weight_zero_points = run.plan.weight_zero_points + blocks.channel;
  }
  set_store(run, phase.index, blocks.channel, arguments);
  return arguments;
}

void set_tap_runs(DenseArguments& arguments) {
  if (arguments.group_outputs == 0) {
    return;
  }
  // As far as a kernel's row has columns between those that a stride leaves together.
  constexpr int64_t kFarthestTap = 4;
  auto* const runs = static_cast<TapRun*>(
      scratch(ScratchUse::kTapRuns, static_cast<size_t>(arguments.taps) * sizeof(TapRun)));
  int64_t count = 0;
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    const int64_t offset = arguments.tap_offsets[tap];
    // It continues a run if that still has room and ends a pixel before.
    const auto continues = [&](const TapRun& run) {
      return run.count < TapRun::kMostTaps && tap - run.taps[run.count - 1] <= kFarthestTap &&
          run.offset + run.count * arguments.pixel_stride == offset;
    };
    TapRun* const end = runs + count;
    TapRun* const run = std::find_if(std::max(runs, end - kFarthestTap), end, continues);
    if (run == end) {
      *run = TapRun{.offset = offset};
      ++count;
    }
    run->taps[run->count++] = tap;
  }
  arguments.tap_runs = runs;
  arguments.tap_run_count = count;
}

void set_activation_sums(const ConvRun& run, const Phase& phase, DenseArguments& arguments) {
  if (arguments.weight_zero_points != nullptr && arguments.group_outputs == 0) {
    auto* const sums = static_cast<int32_t*>(scratch(
        ScratchUse::kActivationSums, static_cast<size_t>(arguments.pixels) * sizeof(int32_t)));
    // Of ReachedTaps, which the padding's values belong to.
    const int64_t left_out_taps = run.reached.all() ? 0 : phase.layout.taps - arguments.taps;
    const auto left_out =
        static_cast<int32_t>(left_out_taps * phase.layout.depth * run.input_zero_point());
    run.kernels.widen == nullptr ? sum_activations<uint8_t>(phase, arguments, left_out, sums)
                                 : sum_activations<uint16_t>(phase, arguments, left_out, sums);
    arguments.activation_sums = sums;
  }
}

void call_dense_kernel(const ConvRun& run, const Phase& phase, DenseArguments& arguments) {
  set_activation_sums(run, phase, arguments);
  store_dense(run, phase.index, arguments);
}

void set_store(const ConvRun& run, int64_t table, int64_t channel, DenseArguments& arguments) {
  arguments.store = run.plan.store;
  if (arguments.store != Store::kSums) {
    arguments.requantization = run.plan.requantization_from(table, channel);
  }
}

void store_dense(const ConvRun& run, int64_t table, DenseArguments& arguments) {
  if (arguments.store == Store::kSums) {
    run_dense_pass(run, table, arguments);
    return;
  }
  if (arguments.store == Store::kBytesAdded) {
    arguments.addend = static_cast<const uint8_t*>(run.plan.addend.data) +
        run.plan.element_at(arguments.output.data);
  }
  run.kernels.dense(arguments);
}

int64_t blocks_in_cache(const ConvRun& run, const Layout& layout) {
  const int64_t pairs = 2 * run.kernels.window_bytes / (2 * layout.block_bytes());
  return 2 * std::max<int64_t>(pairs, 1);
}

int64_t all_blocks(const ConvRun& run) {
  return run.phases.count() * run.packed.layout.groups * run.packed.layout.blocks;
}

}  // namespace qconv::native
