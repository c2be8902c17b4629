#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace qconv {

// A dense CPU tensor whose elements all lie inside its storage. A tensor from a damaged file may
// claim more than it has. Raises ValueError or TypeError.
void check_readable(const std::string& op, const char* name, const at::Tensor& tensor);

// The name that Python users know: "torch.float32".
std::string dtype_name(const at::Tensor& tensor);

// A tensor of a quantized dtype that was given scales. torch.empty(..., dtype=torch.qint8) makes
// one that has none, about which torch answers no question. Raises ValueError.
void check_quantized(const std::string& op, const char* name, const at::Tensor& tensor);

// A scale must stay positive and finite when an engine rounds it to float32. Raises ValueError.
void check_scale(const std::string& op, const std::string& name, double scale);

}  // namespace qconv
