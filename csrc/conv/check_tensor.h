#pragma once

#include <ATen/core/Tensor.h>

#include <limits>
#include <string>
#include <string_view>

#include "conv/check.h"

namespace at {
struct AffineQuantizer;
}

namespace qconv {

// A dense CPU tensor whose elements all lie inside its storage. A tensor from a damaged file may
// claim more than it has. Raises ValueError or TypeError.
void check_readable(std::string_view op, ArgumentName name, const at::Tensor& tensor);

// The name that Python users know: "torch.float32".
std::string dtype_name(const at::Tensor& tensor);

// A tensor of a quantized dtype that was given scales. torch.empty(..., dtype=torch.qint8) makes
// one that has none, about which torch answers no question. The quantizer answers without torch's
// dispatcher, and lives as long as the tensor keeps it. Raises ValueError.
const at::AffineQuantizer& check_quantized(
    std::string_view op, ArgumentName name, const at::Tensor& tensor);

// A scale must stay positive and finite when an engine rounds it to float32.
inline bool is_normal_scale(double scale) {
  const auto rounded = static_cast<float>(scale);
  return rounded >= std::numeric_limits<float>::min() &&
      rounded <= std::numeric_limits<float>::max();
}

// Raises ValueError where it doesn't.
void check_scale(std::string_view op, ArgumentName name, double scale);

}  // namespace qconv
