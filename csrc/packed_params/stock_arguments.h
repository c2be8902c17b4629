#pragma once

#include <ATen/native/quantized/PackedParams.h>

#include <string_view>

#include "conv/description.h"

namespace qconv {

// The convolution that an object of PyTorch's holds, as PyTorch gives it back.
// Raises NotImplementedError, starting with `op`, where it can't.
template <int kSpatialDims>
ConvArguments stock_arguments(std::string_view op, ConvPackedParamsBase<kSpatialDims>& stock);

}  // namespace qconv
