#pragma once

#include "engines/exact/exact_conv.h"
#include "engines/qnnpack/requantization.h"

namespace qconv {

// The exact loops with QNNPACK's requantization of their sums, so that results equal those of its
// kernels bit for bit, for depthwise shapes for which it has no fast kernel.
void run_exactly(
    const ExactConv& exact, const ConvDescription& conv, const RunShape& shape,
    const Activation& input, const QnnpackRequantization& requantization,
    const OutputQuantization& quantization, PostOp post_op, uint8_t* output);

}  // namespace qconv
