#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "conv/description.h"

namespace qconv::onednn {

// oneDNN's plain order of weights: [groups, out/groups, in/groups, kernel...], contiguous, without
// the first dimension where there is one group; the same for forward and transposed ones. From and
// to the order of weight_layout.h.
at::Tensor to_plain_order(const at::Tensor& grouped_weight, const ConvGeometry& geometry);
at::Tensor from_plain_order(const at::Tensor& plain, const ConvGeometry& geometry);

// The weight's scales as oneDNN takes them: one, or one per output channel.
std::vector<float> execution_scales(const ConvDescription& conv);

}  // namespace qconv::onednn
