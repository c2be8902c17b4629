#pragma once

#include <cstdint>

#include "native/format/packed_view.h"

namespace qconv::native {

// Writes the weights that were packed, packed.original.weights() of them, in the order of
// contiguous_strides. Scales, zero points and bias are read from the view.
void unpack_weight(const PackedView& packed, int8_t* weight);

// The same for packed.conv, whose groups are combined, with what is stored between them.
void unpack_combined_weight(const PackedView& packed, int8_t* weight);

}  // namespace qconv::native
