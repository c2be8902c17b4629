#pragma once

#include <algorithm>
#include <cstdint>

#include "native/run/conv_run.h"

namespace qconv::native {

// Blocks of output channels of one group, in one phase.
struct PhaseBlocks {
  RunPhase phase;
  int64_t group = 0;
  int64_t first_block = 0;
  int64_t blocks = 0;
  int64_t channel = 0;  // the first one, among all output channels

  // The convolution's group of that channel.
  int64_t input_group(const ConvRun& run) const {
    return channel / run.packed.conv.out_channels_per_group();
  }
};

// What these blocks decide of a kernel's arguments.
DenseArguments block_arguments(const ConvRun& run, const PhaseBlocks& blocks);

// Finds the runs of taps, for grouped layouts; tap_offsets and pixel_stride are set.
void set_tap_runs(DenseArguments& arguments);

// Sums activations, where weights have zero points.
void set_activation_sums(const ConvRun& run, const Phase& phase, DenseArguments& arguments);

// Does that, and calls the kernel.
void call_dense_kernel(const ConvRun& run, const Phase& phase, DenseArguments& arguments);

// What `store` and its factors say of the arguments of a call on the output channels from `channel`
// on. table: of factors, see factors.h; the phase's, or that of outputs in none.
void set_store(const ConvRun& run, int64_t table, int64_t channel, DenseArguments& arguments);

// Calls the kernel as it is, with a pass over its sums where they take one.
void store_dense(const ConvRun& run, int64_t table, DenseArguments& arguments);

// So many blocks' weights stay in the second-level cache from one call of a kernel to the next.
int64_t blocks_in_cache(const ConvRun& run, const Layout& layout);

// Calls use(PhaseBlocks) for chunks of so many of some blocks.
template <typename Use>
void for_each_chunk(const ConvRun& run, const PhaseBlocks& blocks, const Use& use) {
  const int64_t most = blocks_in_cache(run, blocks.phase.phase.layout);
  PhaseBlocks chunk = blocks;
  for (int64_t first = 0; first < blocks.blocks; first += most) {
    chunk.first_block = blocks.first_block + first;
    chunk.channel = blocks.channel + first * kBlockColumns;
    chunk.blocks = std::min(most, blocks.blocks - first);
    use(chunk);
  }
}

// Blocks of output channels of all groups and phases, [phase][group][block].
int64_t all_blocks(const ConvRun& run);

// Calls use(PhaseBlocks) for the groups and phases that a range of all blocks is part of.
template <typename Use>
void for_each_group(const ConvRun& run, int64_t first_block, int64_t blocks, const Use& use) {
  const int64_t of_group = run.packed.layout.blocks;
  const int64_t groups = run.packed.layout.groups;
  PhaseBlocks part;
  part.phase.phase.index = -1;
  while (blocks > 0) {
    const int64_t phase = first_block / of_group / groups;
    if (part.phase.phase.index != phase) {
      part.phase = run.phases.at(phase);
    }
    part.group = first_block / of_group % groups;
    part.first_block = first_block % of_group;
    part.blocks = std::min(blocks, of_group - part.first_block);
    part.channel =
        part.group * (run.packed.conv.out_channels / groups) + part.first_block * kBlockColumns;
    use(part);
    first_block += part.blocks;
    blocks -= part.blocks;
  }
}

}  // namespace qconv::native
