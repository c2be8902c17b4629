#pragma once

#include <memory>

#include "engines/engine.h"
#include "engines/exact/weight_facts.h"

namespace qconv {

// Picks QNNPACK's kernel for this convolution and packs the weight for it.
// grouped_weight: see weight_layout.h.
std::unique_ptr<const PackedConv> pack_qnnpack_conv(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts);

}  // namespace qconv
