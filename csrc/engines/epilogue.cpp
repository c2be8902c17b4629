#include "engines/epilogue.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace qconv {
namespace {

// Values of one thread's turn: large enough to be worth a thread.
constexpr int64_t kGrain = 16384;

// Calls use(element of the dtype's type).
template <typename Use>
void with_element_of(c10::ScalarType dtype, const Use& use) {
  switch (dtype) {
    case c10::ScalarType::Byte:
      return use(uint8_t());
    case c10::ScalarType::Char:
      return use(int8_t());
    case c10::ScalarType::Float:
      return use(float());
    case c10::ScalarType::BFloat16:
      return use(c10::BFloat16());
    default:
      TORCH_INTERNAL_ASSERT(false, "an epilogue of dtype ", dtype);
  }
}

double apply(const Epilogue& epilogue, double x) {
  switch (epilogue.function) {
    case PointwiseFunction::kNone:
      return x;
    case PointwiseFunction::kRelu:
      return std::max(x, 0.0);
    case PointwiseFunction::kHardtanh:
      return std::clamp(x, epilogue.lower, epilogue.upper);
    case PointwiseFunction::kHardswish:
      return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
    case PointwiseFunction::kSwish:
      return x / (1.0 + std::exp(-x));
  }
  return x;
}

template <typename Element>
double to_real(Element value, const OutputQuantization& quantization) {
  if constexpr (std::is_integral_v<Element>) {
    return (static_cast<int32_t>(value) - quantization.zero_point) * quantization.scale;
  } else {
    return static_cast<float>(value);
  }
}

template <typename Element>
Element from_real(double real, const OutputQuantization& quantization) {
  if constexpr (std::is_integral_v<Element>) {
    constexpr double smallest = std::numeric_limits<Element>::min();
    constexpr double largest = std::numeric_limits<Element>::max();
    // nearbyint rounds halves to even. Clamped as a double: beyond int32 there is no conversion.
    const double quanta = std::nearbyint(real / quantization.scale) + quantization.zero_point;
    return static_cast<Element>(std::clamp(quanta, smallest, largest));
  } else {
    return static_cast<Element>(static_cast<float>(real));
  }
}

}  // namespace

void apply_epilogue(
    const float* real, int64_t count, const Epilogue& epilogue, const Output& output) {
  const Addend addend = epilogue.addend.value_or(Addend{});
  with_element_of(output.dtype, [&](auto element) {
    using Element = decltype(element);
    with_element_of(addend.dtype, [&](auto addend_element) {
      const auto* added = static_cast<const decltype(addend_element)*>(addend.data);
      auto* stored = static_cast<Element*>(output.data);
      at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const double sum =
              real[i] + (added == nullptr ? 0.0 : to_real(added[i], addend.quantization));
          stored[i] = from_real<Element>(apply(epilogue, sum), output.quantization);
        }
      });
    });
  });
}

}  // namespace qconv
