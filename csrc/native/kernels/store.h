#pragma once

#include <cstdint>

namespace qconv::native {

// What kernels do with the sums of a run.
enum class Store {
  kSums,       // store them, int32
  kBytes,      // requantize them
  kBytesAdded  // requantize them, an addend included
};

constexpr int64_t element_bytes(Store store) {
  return store == Store::kSums ? static_cast<int64_t>(sizeof(int32_t)) : 1;
}

// How sums become bytes, uint8 or int8: for output channel c
//   x = fma(float(sum), multiplier[c], offset[c])
//   x = fma(float(addend), addend_multiplier, x)                 Store::kBytesAdded
//   q = clamp(round_half_to_even(x) + zero_point, low, high)
// whose low 8 bits are stored. Every instruction set takes these steps, in float32, so that all
// give the same bytes.
//
// Kernels pack round(x) + zero_point - low with saturation to 0..255, bound it by high - low from
// above and add low as bytes: so signed bytes cost nothing more than unsigned ones.
struct Requantization {
  const float* multiplier = nullptr;  // per output channel; readable to the next multiple of 16 and
  const float* offset = nullptr;      // 16 floats beyond
  // Of the output: within [-128, 255], high - low from 0 to 255.
  int32_t zero_point = 0;
  int32_t low = 0;
  int32_t high = 255;
  // The addend's bytes are unsigned once they are combined with this by exclusive or: 0, or 0x80
  // for int8, whose zero point is then 128 larger.
  uint8_t addend_flip = 0;
  float addend_multiplier = 0;
};

// From an element of the output to that of an addend in the same order, in bytes: in this form
// kernels need one number for it. Both have elements of one byte.
inline intptr_t addend_distance(const void* output, const void* addend) {
  return reinterpret_cast<intptr_t>(addend) - reinterpret_cast<intptr_t>(output);
}

}  // namespace qconv::native
