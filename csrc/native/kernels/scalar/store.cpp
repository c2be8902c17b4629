#include "native/kernels/scalar/store.h"

#include <algorithm>
#include <cmath>

namespace qconv::native {
namespace {

uint8_t requantize(const Requantization& requantization, int64_t channel, int32_t sum) {
  const float value = std::fma(
      static_cast<float>(sum), requantization.multiplier[channel], requantization.offset[channel]);
  // A value beyond int32 would be undefined to convert; it is clamped in the end anyway.
  const float bounded = std::clamp(value, -65536.0F, 65536.0F);
  const auto rounded = static_cast<int32_t>(std::nearbyint(bounded));
  return static_cast<uint8_t>(std::clamp<int32_t>(
      rounded + requantization.zero_point, requantization.low, requantization.high));
}

}  // namespace

void store_scalar(
    const Requantization& requantization, bool to_sums, int64_t channel, int32_t sum, void* output,
    int64_t place) {
  if (to_sums) {
    static_cast<int32_t*>(output)[place] = sum;
  } else {
    static_cast<uint8_t*>(output)[place] = requantize(requantization, channel, sum);
  }
}

}  // namespace qconv::native
