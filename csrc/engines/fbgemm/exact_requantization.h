#pragma once

#include "engines/exact/exact_conv.h"
#include "engines/fbgemm/requantization.h"

namespace qconv {

// The exact loops with FBGEMM's requantization of their sums, so that results equal those of its
// kernels bit for bit; values that don't fit int32 are requantized in double precision.
void run_exactly(
    const ExactConv& exact, const ConvDescription& conv, const RunShape& shape,
    const Activation& input, const RequantizationScales& scales,
    const OutputQuantization& quantization, PostOp post_op, uint8_t* output);

}  // namespace qconv
