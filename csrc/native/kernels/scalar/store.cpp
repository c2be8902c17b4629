#include "native/kernels/scalar/store.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace qconv::native {
namespace {

uint8_t requantize(
    const Requantization& requantization, int64_t channel, int32_t sum, const uint8_t* addend) {
  float value = std::fma(
      static_cast<float>(sum), requantization.multiplier[channel], requantization.offset[channel]);
  if (addend != nullptr) {
    const auto added = static_cast<uint8_t>(*addend ^ requantization.addend_flip);
    value = std::fma(static_cast<float>(added), requantization.addend_multiplier, value);
  }
  // A value beyond int32 would be undefined to convert; it is clamped in the end anyway.
  const float bounded = std::clamp(value, -65536.0F, 65536.0F);
  const auto rounded = static_cast<int32_t>(std::nearbyint(bounded));
  return static_cast<uint8_t>(std::clamp<int32_t>(
      rounded + requantization.zero_point, requantization.low, requantization.high));
}

}  // namespace

void store_scalar(
    Store store, const Requantization& requantization, int64_t channel, int32_t sum, void* place,
    const uint8_t* addend) {
  if (store == Store::kSums) {
    std::memcpy(place, &sum, sizeof(sum));
  } else {
    *static_cast<uint8_t*>(place) = requantize(requantization, channel, sum, addend);
  }
}

}  // namespace qconv::native
