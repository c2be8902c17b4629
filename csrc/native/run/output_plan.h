#pragma once

#include <cstdint>

#include "native/format/packed_view.h"
#include "native/kernels/pointwise.h"
#include "native/kernels/store.h"
#include "native/run/factors.h"
#include "native/run/run.h"

namespace qconv::native {

// How a call's sums become its output: by kernels, in their own store, where they can, else in a
// pass of their own over the sums of a part that is still in the cache (see sums_pass.h).
//
// Its tables lie in memory of the thread that made it, until that thread's next call.
struct OutputPlan {
  Store store = Store::kSums;
  Requantization requantization;                // of kBytes and kBytesAdded, in the first table
  const int32_t* weight_zero_points = nullptr;  // per output channel; null where all are 0
  // [batch, depth, height, width, out_channels], and the addend in the same order.
  RunOutput output;
  RunAddend addend;  // data null: none
  // Of kSums: its factors, for all output channels in the first table, and the function.
  PointwiseArguments pass;
  int64_t table_stride = 0;  // of the factors of either, see FactorTables

  // From the output channel `channel` of a table on.
  Requantization requantization_from(int64_t table, int64_t channel) const {
    Requantization result = requantization;
    result.multiplier += table * table_stride + channel;
    result.offset += table * table_stride + channel;
    return result;
  }

  int64_t output_bytes() const { return element_bytes(output.type); }
  // Number of the element of the output that an address is.
  int64_t element_at(const void* address) const {
    return (static_cast<const uint8_t*>(address) - static_cast<const uint8_t*>(output.data)) /
        output_bytes();
  }
};

// The plan of a call. What it computes is within 1e-3 quanta of float64 before it is rounded to an
// integer; with a function that isn't a clamp, within 2e-3. Floats are computed in float64.
OutputPlan plan_output(
    const FactorTables& tables, const RunInput& input, const Epilogue& epilogue,
    const RunOutput& output);

}  // namespace qconv::native
