#pragma once

#include <cstdint>

namespace qconv::native {

// Copies uint8 numbers into uint16, for kernel sets that want them so. The memories don't
// overlap.
void widen_activations(const uint8_t* from, int64_t count, uint16_t* to);
void widen_activations_avx2(const uint8_t* from, int64_t count, uint16_t* to);

}  // namespace qconv::native
