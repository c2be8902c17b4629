#pragma once

#include <cstdint>

#include "native/kernels/dense.h"

namespace qconv::native {

// Stores one sum of output channel `channel` as element `place` of the output: as it is where
// `to_sums`, else as the byte that it becomes.
void store_scalar(
    const Requantization& requantization, bool to_sums, int64_t channel, int32_t sum, void* output,
    int64_t place);

}  // namespace qconv::native
