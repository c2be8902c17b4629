#pragma once

#include <cstdint>

namespace qconv::native {

// The least integer that is not below value / divisor; divisor > 0.
constexpr int64_t ceil_divide(int64_t value, int64_t divisor) {
  return value >= 0 ? (value + divisor - 1) / divisor : -(-value / divisor);
}

// The least multiple that is not below a value of 0 or more.
constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return ceil_divide(value, multiple) * multiple;
}

}  // namespace qconv::native
