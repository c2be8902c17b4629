#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace qconv::native {

inline bool is_scale(double scale) {
  return std::isfinite(scale) && scale > 0;
}

// Whether a scale is a normal float32 without rounding. Looks at the bits, so that the answer is
// the same where the processor flushes denormal numbers to zero.
inline bool fits_float32(double scale) {
  const auto bits = std::bit_cast<uint64_t>(scale);
  const auto exponent = static_cast<int64_t>(bits >> 52 & 0x7ff) - 1023;
  return (bits & 0x1fffffff) == 0 && exponent >= -126 && exponent <= 127;
}

}  // namespace qconv::native
