#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <vector>

#include "conv/description.h"

namespace qconv {

// A qint8 weight's device, dtype, quantization scheme and memory.
void check_quantized_weight(std::string_view op, const at::Tensor& weight);

// The scales and zero points of a qint8 weight; its channel axis as the convolution needs it.
WeightQuantization quantization_of(std::string_view op, const at::Tensor& weight, bool transposed);

// Scales positive and finite.
void check_weight_quantization(std::string_view op, const WeightQuantization& quantization);

// A copy of the bias, whatever its strides: later changes of the tensor change nothing.
std::vector<float> check_bias(std::string_view op, const at::Tensor& bias, int64_t out_channels);

}  // namespace qconv
