#pragma once

#include <memory>

#include "engines/engine.h"

namespace qconv {

// Raises ValueError where the core refuses the convolution, NotImplementedError where it refuses
// the weight's sums.
std::unique_ptr<const PackedConv> pack_native_conv(
    std::string_view op, const ConvDescription& conv, const WeightSource& weight);

}  // namespace qconv
