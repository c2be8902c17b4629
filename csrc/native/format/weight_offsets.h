#pragma once

#include <array>
#include <cstdint>

#include "native/convolution.h"
#include "native/format/layout.h"

namespace qconv::native {

// For bytes [begin, begin + count) of a tap of a dense layout, within layout.depth: elements from
// the first weight of an output channel to the one that is packed there; -1 where that is in a row
// below the kernel. strides: of the weight, along [out channel, input channel of the group, kernel
// depth, height, width].
void weight_offsets(
    const Convolution& conv, const Layout& layout, const std::array<int64_t, 5>& strides,
    int64_t tap, int64_t begin, int64_t count, int64_t* offsets);

}  // namespace qconv::native
