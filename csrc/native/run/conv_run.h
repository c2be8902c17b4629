#pragma once

#include "native/format/packed_view.h"
#include "native/kernels/kernel_set.h"
#include "native/run/requantization.h"
#include "native/run/run.h"

namespace qconv::native {

// One call, as the drivers of dense and depthwise convolutions take it.
struct ConvRun {
  const PackedView& packed;
  const RunInput& input;
  Extent output_size{1, 1, 1};
  const KernelSet& kernels;
  const ParallelFor& parallel_for;
  // Without `to_sums`: what becomes of the sums.
  Requantization requantization;
  const int32_t* weight_zero_points = nullptr;
  void* output = nullptr;  // [batch, depth, height, width, out_channels], uint8 or int32 sums
  bool to_sums = false;
};

}  // namespace qconv::native
