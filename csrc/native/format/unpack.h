#pragma once

#include <cstdint>

#include "native/format/packed_view.h"

namespace qconv::native {

// Writes the weights that were packed, view.conv.weights() of them, in the order [out channel]
// [input channel of the group][kernel depth][height][width]. Scales, zero points and bias are read
// from the view.
void unpack_weight(const PackedView& view, int8_t* weight);

}  // namespace qconv::native
