#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "conv/check.h"
#include "conv/geometry.h"

namespace qconv {

// What a run needs to know of its shapes. Sizes have spatial_dims() entries.
struct RunShape {
  int64_t batch = 0;
  Dims input_size, output_size;
};

// How an activation's integers map to real numbers: real = (q - zero_point) * scale.
struct ActivationQuantization {
  double scale = 1;
  int32_t zero_point = 0;
};

struct QuantizedInput {
  RunShape shape;
  ActivationQuantization quantization;
};

// An object packed by one kind of op may only run under that kind. Raises ValueError.
// op_dims, op_transposed: the kind that the op runs.
void check_kind(std::string_view op, const ConvGeometry& geometry, int op_dims, bool op_transposed);

// A per-tensor quint8 or qint8 activation [batch, channels, spatial...] with op_dims spatial
// dimensions, its scale and zero point in range. The shape of a 1-D one gets its height of 1.
// Raises ValueError, TypeError or NotImplementedError.
QuantizedInput check_quantized_input(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input);

// The same for a float32 activation; its values are checked where they are quantized. Raises
// ValueError or TypeError.
RunShape check_float_input(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input);

// A per-tensor quint8 or qint8 tensor of the output's size, to be added to it. Raises ValueError or
// TypeError.
ActivationQuantization check_quantized_addend(
    std::string_view op, const char* name, int op_dims, const ConvGeometry& geometry,
    const RunShape& shape, const at::Tensor& addend);

// A plain uint8 or int8 activation that `scale` and `zero_point` belong to. Raises ValueError or
// TypeError.
RunShape check_integer_input(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input,
    double scale, int64_t zero_point);

// A zero point must be a value of the dtype, kByte (uint8) or kChar (int8). Raises ValueError.
void check_zero_point(
    std::string_view op, ArgumentName name, c10::ScalarType dtype, int64_t zero_point);

// Scale and zero point asked for an output of dtype kByte or kChar. Raises ValueError.
void check_output_quantization(
    std::string_view op, c10::ScalarType dtype, double scale, int64_t zero_point);

// Sizes that a tensor [batch, channels, spatial...] of the output has; 1-D ops don't show the
// height that shapes have.
Sizes output_sizes(int op_dims, const ConvGeometry& geometry, const RunShape& shape);

}  // namespace qconv
