#pragma once

#include <cstdint>

namespace qconv::native {

// Copies uint8 numbers into uint16, for kernel sets that want them so. The memories don't
// overlap.
void widen_activations(const uint8_t* from, int64_t count, uint16_t* to);
void widen_activations_avx2(const uint8_t* from, int64_t count, uint16_t* to);

// Whether `dense_below_128` of a kernel set may be used.
bool all_below_128_avx2(const uint8_t* activations, int64_t count);

}  // namespace qconv::native
