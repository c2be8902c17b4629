#pragma once

#include <cstdint>

#include "native/convolution.h"
#include "native/format/layout.h"
#include "native/format/weight_strides.h"

namespace qconv::native {

// Where a packed byte holds no weight.
constexpr int64_t kNoWeight = INT64_MIN;

// For bytes [begin, begin + count) of a tap of a dense layout, within layout.depth: elements from
// the first weight of an output channel to the one that is packed there; kNoWeight where that is in
// a row below the kernel.
void weight_offsets(
    const Convolution& conv, const Layout& layout, const WeightStrides& strides, int64_t tap,
    int64_t begin, int64_t count, int64_t* offsets);

}  // namespace qconv::native
