#pragma once

#include <memory>

#include "engines/engine.h"

namespace qconv {

// Raises ValueError where the core refuses the convolution.
std::unique_ptr<const PackedConv> pack_native_conv(
    std::string_view op, std::shared_ptr<const ConvDescription> conv,
    const at::Tensor& grouped_weight);

}  // namespace qconv
