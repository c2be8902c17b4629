#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "engines/channels_last.h"

namespace qconv {

// A float32 tensor [batch, channels, spatial...] quantized to uint8 with the scale and zero point
// that PyTorch's dynamic ops choose for its range; reduce_range leaves it 7 bits. Two passes: over
// the range, and from the tensor's order of memory into the one that engines take.
// Raises ValueError, starting with `op`, for numbers that aren't finite.
PreparedActivation quantize_dynamically(
    std::string_view op, const at::Tensor& input, bool reduce_range);

}  // namespace qconv
