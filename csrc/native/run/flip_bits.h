#pragma once

#include <cstdint>

namespace qconv::native {

// to[i] = from[i] ^ flip; `to` may be `from`.
void flip_bits(const uint8_t* from, uint8_t flip, int64_t count, uint8_t* to);
void flip_bits(const uint16_t* from, uint16_t flip, int64_t count, uint16_t* to);

}  // namespace qconv::native
