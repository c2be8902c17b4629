#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "native/epilogue.h"

namespace qconv::native::test {

// The functions of native/epilogue.h from their definitions, by the C library's functions.
inline double function_reference(const Epilogue& epilogue, double x) {
  switch (epilogue.function) {
    case PointwiseFunction::kNone:
      return x;
    case PointwiseFunction::kRelu:
      return std::max(x, 0.0);
    case PointwiseFunction::kHardtanh:
      return std::min(std::max(x, epilogue.lower), epilogue.upper);
    case PointwiseFunction::kLeakyRelu:
      return x < 0 ? epilogue.slope * x : x;
    case PointwiseFunction::kHardswish:
      return x * std::min(std::max(x + 3, 0.0), 6.0) / 6;
    case PointwiseFunction::kSwish:
      return x / (1 + std::exp(-x));
    case PointwiseFunction::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case PointwiseFunction::kGelu:
      return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    case PointwiseFunction::kGeluTanh: {
      // 1 + tanh(u) = 2 / (1 + exp(-2 u)), which doesn't cancel.
      const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
      return x / (1 + std::exp(-2 * u));
    }
  }
  return x;
}

// Element i of a tensor as a real number.
inline double real_of(
    const void* data, ElementType type, double scale, int32_t zero_point, int64_t i) {
  switch (type) {
    case ElementType::kUint8:
      return (static_cast<const uint8_t*>(data)[i] - zero_point) * scale;
    case ElementType::kInt8:
      return (static_cast<const int8_t*>(data)[i] - zero_point) * scale;
    case ElementType::kFloat32:
      return static_cast<const float*>(data)[i];
    case ElementType::kBfloat16: {
      const uint32_t bits = uint32_t{static_cast<const uint16_t*>(data)[i]} << 16;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      return value;
    }
  }
  return 0;
}

// Whether element i of the output is what `real`, after the function, must become: the nearest
// number of its type, or, where real lies within the margin of the middle between two, one of them.
// margin: in quanta of integers; of floats relative, and `least` is a difference that never counts.
inline bool is_right(const RunOutput& output, int64_t i, double real, double margin, double least) {
  if (is_quantized(output.type)) {
    const double quanta = real / output.scale;
    const double q = real_of(output.data, output.type, 1, 0, i);
    const auto integer = [&](double value) {
      return std::clamp<double>(
          std::nearbyint(value) + output.zero_point, smallest_of(output.type),
          largest_of(output.type));
    };
    return q == integer(quanta - margin) || q == integer(quanta + margin);
  }
  const double value = real_of(output.data, output.type, 1, 0, i);
  // Half of the distance between neighbours, relative to the smaller of them; bfloat16 is rounded
  // from float32.
  const double half = output.type == ElementType::kFloat32 ? 0x1p-24 : 0x1p-8 + 0x1p-24;
  return std::abs(value - real) <= std::abs(real) * (half + margin) + least;
}

}  // namespace qconv::native::test
