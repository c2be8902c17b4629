#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

namespace qconv::native {

// What may stand in the sections of a packed buffer.

// Positive, finite, and normal: the same where the processor takes denormal numbers for 0.
inline constexpr auto is_scale = []<typename Float>(Float scale) {
  return (scale >= std::numeric_limits<Float>::min()) &
      (scale <= std::numeric_limits<Float>::max());
};

// Whether a scale is a normal float32 without rounding.
inline constexpr auto fits_float32 = [](double scale) {
  return (scale >= std::numeric_limits<float>::min()) &
      (double{static_cast<float>(scale)} == scale);
};

inline constexpr auto is_bias = [](float bias) {  // finite
  return (bias >= std::numeric_limits<float>::lowest()) &
      (bias <= std::numeric_limits<float>::max());
};

inline constexpr auto is_weight_zero_point = [](int32_t zero_point) {
  return (zero_point >= INT8_MIN) & (zero_point <= INT8_MAX);
};

// Returns the first of `count` values that isn't what `is_valid` says, or nullptr. Looks at all of
// them without a branch in between, and counts in their width, so that the compiler uses vectors.
template <typename Value, typename IsValid>
const Value* first_invalid(const Value* values, int64_t count, const IsValid& is_valid) {
  std::conditional_t<sizeof(Value) == 8, int64_t, int32_t> valid = -1;
  for (int64_t i = 0; i < count; ++i) {
    valid &= is_valid(values[i]) ? -1 : 0;
  }
  for (int64_t i = 0; valid == 0 && i < count; ++i) {
    if (!is_valid(values[i])) {
      return values + i;
    }
  }
  return nullptr;
}

}  // namespace qconv::native
