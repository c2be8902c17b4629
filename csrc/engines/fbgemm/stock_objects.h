#pragma once

#include <ATen/native/quantized/PackedParams.h>

#include "conv/geometry.h"

namespace qconv {

// Whether PyTorch's unpack() of this object, packed from a convolution of this geometry, returned
// uninitialized memory: its engine fbgemm packs some transposed weights for FBGEMM's "directconv"
// kernel, from which FBGEMM has no way back.
bool stock_weight_is_lost(const ConvPackedParamsBase<2>& stock, const ConvGeometry& geometry);

inline bool stock_weight_is_lost(const ConvPackedParamsBase<3>&, const ConvGeometry&) {
  return false;
}

}  // namespace qconv
