#pragma once

#include <ATen/core/Tensor.h>

#include "conv/check_input.h"
#include "engines/engine.h"

namespace qconv {

// The integers of a quantized tensor as a plain uint8 or int8 one that shares its memory. The
// tensor must outlive the result.
at::Tensor integer_view(const at::Tensor& quantized);

// A tensor [batch, channels, spatial...] in memory order [batch, spatial..., channels]; without a
// copy where it lies so.
at::Tensor to_channels_last(const at::Tensor& tensor);

// Sizes in that order of an output [batch, channels, spatial...].
Dims channels_last_sizes(int op_dims, const ConvGeometry& geometry, const RunShape& shape);

// What engines take of an activation: unsigned, channels last.
struct PreparedActivation {
  at::Tensor memory;
  Activation view;
};

// integers: uint8 or int8 [batch, channels, spatial...], real = (q - zero_point) * scale.
PreparedActivation prepare_activation(const at::Tensor& integers, double scale, int64_t zero_point);

}  // namespace qconv
