#pragma once

#include <array>
#include <cstdint>

#include "native/convolution.h"
#include "native/format/layout.h"

namespace qconv::native {

// Elements from the first weight of an output channel to the one at byte `position` < layout.depth
// of a tap of a dense layout; -1 where that is in a row below the kernel. strides: of the weight,
// along [out channel, input channel of the group, kernel depth, height, width].
int64_t weight_offset(
    const Convolution& conv, const Layout& layout, const std::array<int64_t, 5>& strides,
    int64_t tap, int64_t position);

}  // namespace qconv::native
