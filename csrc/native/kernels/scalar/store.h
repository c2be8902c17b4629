#pragma once

#include "native/kernels/store.h"

namespace qconv::native {

// Stores one sum of output channel `channel` at `place`, in bytes from the output's start, as
// `store` says. addend: of the same place, or null.
void store_scalar(
    Store store, const Requantization& requantization, int64_t channel, int32_t sum, void* place,
    const uint8_t* addend);

}  // namespace qconv::native
