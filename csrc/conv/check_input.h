#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "conv/geometry.h"

namespace qconv {

// What a run needs to know of its shapes. Sizes have spatial_dims() entries.
struct RunShape {
  int64_t batch = 0;
  Dims input_size, output_size;
};

// An object packed by one kind of op may only run under that kind. Raises ValueError.
// op_dims, op_transposed: the kind that the op runs.
void check_kind(
    const std::string& op, const ConvGeometry& geometry, int op_dims, bool op_transposed);

// A per-tensor quint8 activation [batch, channels, spatial...] with op_dims spatial dimensions, its
// scale and zero point in range. The shape of a 1-D one gets its height of 1. Raises ValueError,
// TypeError or NotImplementedError.
RunShape check_quantized_input(
    const std::string& op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input);

// The same for a float32 activation; its values are checked where they are quantized. Raises
// ValueError or TypeError.
RunShape check_float_input(
    const std::string& op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input);

// Scale and zero point asked for a uint8 output. Raises ValueError.
void check_output_quantization(const std::string& op, double scale, int64_t zero_point);

}  // namespace qconv
