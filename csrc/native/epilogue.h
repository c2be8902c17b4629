#pragma once

#include <cstdint>

namespace qconv::native {

// What becomes of the real numbers of a convolution on their way to the output.

enum class ElementType { kUint8, kInt8, kFloat32, kBfloat16 };

constexpr int64_t element_bytes(ElementType type) {
  return type == ElementType::kFloat32 ? 4 : type == ElementType::kBfloat16 ? 2 : 1;
}

// Whether numbers of the type stand for others by a scale and a zero point,
// real = (q - zero_point) * scale. The others have a scale of 1 and a zero point of 0.
constexpr bool is_quantized(ElementType type) {
  return type == ElementType::kUint8 || type == ElementType::kInt8;
}

constexpr int32_t smallest_of(ElementType type) {
  return type == ElementType::kInt8 ? -128 : 0;
}
constexpr int32_t largest_of(ElementType type) {
  return smallest_of(type) + 255;
}

enum class PointwiseFunction {
  kNone,
  kRelu,
  kHardtanh,   // clamp(x, lower, upper)
  kLeakyRelu,  // x, or slope * x where x is negative
  kHardswish,  // x * clamp(x + 3, 0, 6) / 6
  kSwish,      // x * sigmoid(x), also called SiLU
  kSigmoid,    // 1 / (1 + exp(-x))
  kGelu,       // x * (1 + erf(x / sqrt(2))) / 2
  kGeluTanh,   // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2
};

// A tensor of the output's size and memory order.
struct RunAddend {
  const void* data = nullptr;  // null: none
  ElementType type = ElementType::kUint8;
  double scale = 1;
  int32_t zero_point = 0;
};

// output = function(convolution + addend)
struct Epilogue {
  RunAddend addend;
  PointwiseFunction function = PointwiseFunction::kNone;
  double lower = 0;  // of kHardtanh
  double upper = 0;
  double slope = 0;  // of kLeakyRelu
};

// Where the output goes, in memory order [batch, depth, height, width, channels]. Integers are
// rounded half to even, then clamped to their type; a NaN, which only a float addend can bring,
// becomes the smallest. The memory may be the addend's own if the types are of equal size.
struct RunOutput {
  void* data = nullptr;
  ElementType type = ElementType::kUint8;
  double scale = 1;
  int32_t zero_point = 0;
};

}  // namespace qconv::native
