#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "conv/description.h"

namespace qconv {

// The weight's device, dtype, quantization scheme and memory.
void check_weight_tensor(const std::string& op, const at::Tensor& weight);

// Scales positive and finite, zero points of int8, channel axis as the convolution needs it.
WeightQuantization check_weight_quantization(
    const std::string& op, const at::Tensor& weight, bool transposed);

// A copy of the bias, whatever its strides: later changes of the tensor change nothing.
std::vector<float> check_bias(const std::string& op, const at::Tensor& bias, int64_t out_channels);

}  // namespace qconv
