#pragma once

#include "native/kernels/dense.h"
#include "native/kernels/depthwise.h"
#include "native/run/conv_run.h"

namespace qconv::native {

// Runs of kernels whose sums take a pass of their own to become the output: in parts whose sums
// stay in the cache until that pass. In the arguments, `output` is a place of the output itself, of
// the output's type and with strides in its elements. table: of factors, see factors.h.
void run_dense_pass(const ConvRun& run, int64_t table, const DenseArguments& arguments);
void run_depthwise_pass(const ConvRun& run, int64_t table, const DepthwiseArguments& arguments);

// The most channels that a depthwise call should have for that.
int64_t depthwise_pass_channels(const ConvRun& run);

}  // namespace qconv::native
