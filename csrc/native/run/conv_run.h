#pragma once

#include "native/format/packed_view.h"
#include "native/kernels/kernel_set.h"
#include "native/run/output_plan.h"
#include "native/run/reached_taps.h"
#include "native/run/run.h"
#include "native/run/run_phases.h"

namespace qconv::native {

// One call, as the drivers of dense and depthwise convolutions take it.
struct ConvRun {
  const PackedView& packed;
  RunInput input;
  Extent output_size{1, 1, 1};
  const RunPhases& phases;
  const ReachedTaps& reached;
  const int32_t* left_out_sums = nullptr;  // see left_out_sums.h
  const KernelSet& kernels;
  const ParallelFor& parallel_for;
  OutputPlan plan;

  // Kernels take unsigned bytes. int8 q with zero point z is uint8 q + 128 with zero point z + 128:
  // the same bits but for the highest, which is flipped on the way to the kernels' loads.
  uint8_t input_flip() const { return input.type == ElementType::kInt8 ? 0x80 : 0; }
  const uint8_t* input_bytes() const { return static_cast<const uint8_t*>(input.data); }
  // Of the unsigned bytes.
  int32_t input_zero_point() const { return input.zero_point - smallest_of(input.type); }

  // An output, of the whole tensor.
  void* output_at(int64_t pixel, int64_t channel) const {
    const int64_t element = pixel * packed.conv.out_channels + channel;
    return static_cast<uint8_t*>(plan.output.data) + element * plan.output_bytes();
  }
};

}  // namespace qconv::native
