#pragma once

#include "native/format/packed_view.h"
#include "native/kernels/kernel_set.h"
#include "native/run/requantization.h"
#include "native/run/run.h"
#include "native/run/run_phases.h"

namespace qconv::native {

// One call, as the drivers of dense and depthwise convolutions take it.
struct ConvRun {
  const PackedView& packed;
  const RunInput& input;
  Extent output_size{1, 1, 1};
  const RunPhases& phases;
  const KernelSet& kernels;
  const ParallelFor& parallel_for;
  // Without `to_sums`: what becomes of the sums of the first phase. Those of the others follow, and
  // those of outputs that are in no phase.
  Requantization requantization;
  int64_t requantization_stride = 0;  // factors from one phase to the next
  const int32_t* weight_zero_points = nullptr;
  void* output = nullptr;  // [batch, depth, height, width, out_channels], uint8 or int32 sums
  bool to_sums = false;

  // What becomes of the sums of a phase's output channels from `channel` on. phase: phases.count()
  // for outputs that are in none.
  Requantization requantization_from(int64_t phase, int64_t channel) const {
    Requantization result = requantization;
    if (!to_sums) {
      result.multiplier += phase * requantization_stride + channel;
      result.offset += phase * requantization_stride + channel;
    }
    return result;
  }

  // An output, of the whole tensor.
  void* output_at(int64_t pixel, int64_t channel) const {
    const int64_t element = pixel * packed.conv.out_channels + channel;
    return static_cast<uint8_t*>(output) +
        element * (to_sums ? static_cast<int64_t>(sizeof(int32_t)) : 1);
  }
};

}  // namespace qconv::native
