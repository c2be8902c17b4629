#pragma once

#include <ATen/core/Tensor.h>

#include "conv/description.h"

namespace qconv {

// A qint8 weight from its integers (a copy). The quantization is one that check_conv accepts.
at::Tensor make_quantized_weight(
    const at::Tensor& integers, const WeightQuantization& quantization, bool transposed);

at::Tensor scales_tensor(const WeightQuantization& quantization);       // float64
at::Tensor zero_points_tensor(const WeightQuantization& quantization);  // int64

// A 1-D float32 tensor with a copy of the values.
at::Tensor to_tensor(const std::vector<float>& values);

// The bias as a float32 tensor of its own memory, or nullopt.
std::optional<at::Tensor> bias_tensor(const ConvDescription& conv);

}  // namespace qconv
