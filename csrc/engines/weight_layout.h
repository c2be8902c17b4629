#pragma once

#include <ATen/core/Tensor.h>

#include "conv/geometry.h"

namespace qconv {

// The order in which the libraries take weights, the same for forward and transposed ones:
// [groups, out/groups, kernel..., in/groups], int8, contiguous.
at::Tensor to_grouped_channels_last(const at::Tensor& weight, const ConvGeometry& geometry);

// The other way round: contiguous forward [out, in/groups, kernel...] or transposed
// [in, out/groups, kernel...].
at::Tensor from_grouped_channels_last(const at::Tensor& packed, const ConvGeometry& geometry);

// An uninitialized tensor in the grouped order, for a library to unpack into.
at::Tensor empty_grouped_channels_last(const ConvGeometry& geometry);

}  // namespace qconv
