#pragma once

#include <memory>

#include "engines/engine.h"
#include "engines/exact/weight_facts.h"

namespace qconv::onednn {

// grouped_weight: see weight_layout.h. Raises dnnl::error.
std::unique_ptr<const PackedConv> pack_conv(
    std::string_view op, std::shared_ptr<const ConvDescription> conv,
    const at::Tensor& grouped_weight, const WeightFacts& facts);

}  // namespace qconv::onednn
