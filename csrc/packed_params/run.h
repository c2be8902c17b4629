#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "conv/description.h"
#include "engines/engine.h"

namespace qconv {

// Runs a packed convolution on a quint8 or qint8 tensor [batch, channels, spatial...] with op_dims
// spatial dimensions; returns a tensor of the same dtype and rank in channels-last memory order.
// addend: a quantized tensor of the output's size, added before the post-op.
// Raises ValueError, TypeError or NotImplementedError that start with `op`.
at::Tensor run_conv(
    std::string_view op, int op_dims, const ConvDescription& conv, const PackedConv& packed,
    const at::Tensor& input, const std::optional<at::Tensor>& addend, double output_scale,
    int64_t output_zero_point, PostOp post_op);

// The same for a float32 tensor: quantizes it with the scale and zero point that PyTorch's dynamic
// ops choose (reduce_range leaves the activation 7 bits), convolves, and returns real numbers.
// PyTorch requantizes them with the input's scale and so clamps them (pytorch issue 70480).
at::Tensor run_conv_dynamic(
    std::string_view op, int op_dims, const ConvDescription& conv, const PackedConv& packed,
    const at::Tensor& input, bool reduce_range);

}  // namespace qconv
