#pragma once

#include "native/format/packed_view.h"

namespace qconv::native {

// Both raise std::invalid_argument unless the numbers of a buffer are what packing writes.

// Scales, zero points and bias.
void check_values(const PackedView& view);

// Column sums and the zeros that pad the weights.
void check_weight(const PackedView& view);

}  // namespace qconv::native
