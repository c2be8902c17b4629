#include "conv/check_input.h"

#include <ATen/quantized/Quantizer.h>
#include <c10/util/safe_numerics.h>

#include <algorithm>

#include "conv/check.h"
#include "conv/check_tensor.h"

namespace qconv {
namespace {

// A quantized activation's dtype, scheme, scale and zero point.
ActivationQuantization check_quantized_activation(
    std::string_view op, const char* name, const at::Tensor& tensor) {
  check_readable(op, name, tensor);
  QCONV_CHECK_TYPE(
      tensor.scalar_type() == at::kQUInt8 || tensor.scalar_type() == at::kQInt8, op, name,
      " must have dtype torch.quint8 or torch.qint8, got ", dtype_name(tensor),
      "; quantize a float tensor with torch.quantize_per_tensor");
  const at::AffineQuantizer& quantizer = check_quantized(op, name, tensor);
  QCONV_CHECK_VALUE(
      quantizer.qscheme() == at::kPerTensorAffine, op, name,
      " must be quantized per_tensor_affine, got ", toString(quantizer.qscheme()));
  const auto& per_tensor = static_cast<const at::PerTensorAffineQuantizer&>(quantizer);
  check_scale(op, {name, " scale"}, per_tensor.scale());
  check_zero_point(
      op, {name, " zero point"}, c10::toUnderlying(tensor.scalar_type()), per_tensor.zero_point());
  return {per_tensor.scale(), static_cast<int32_t>(per_tensor.zero_point())};
}

// Elements of the output, which must be countable before anything is allocated.
void check_output_elements(std::string_view op, const RunShape& shape, int64_t out_channels) {
  int64_t elements = 0;
  // Strides are computed for batch 0 as well.
  bool overflows = c10::mul_overflows(std::max<int64_t>(shape.batch, 1), out_channels, &elements);
  for (int64_t size : shape.output_size) {
    overflows = overflows || c10::mul_overflows(elements, size, &elements);
  }
  QCONV_CHECK_VALUE(
      !overflows, op, "output of size ", shape.output_size, " with ", out_channels,
      " channels and batch ", shape.batch, " has more than 2^63 elements");
}

RunShape check_shape(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input) {
  QCONV_CHECK_VALUE(
      input.dim() == op_dims + 2, op, "input must have ", op_dims + 2,
      " dimensions [batch, channels, spatial...], got ", input.dim(), " (size ", input.sizes(),
      ")");
  QCONV_CHECK_VALUE(
      input.size(1) == geometry.in_channels, op, "input must have ", geometry.in_channels,
      " channels, got ", input.size(1), " (size ", input.sizes(), ")");
  RunShape shape;
  shape.batch = input.size(0);
  shape.input_size.assign(geometry.spatial_dims() - op_dims, 1);
  for (int64_t size : input.sizes().slice(2)) {
    QCONV_CHECK_VALUE(
        size > 0, op, "input must have no empty spatial dimension, got size ", input.sizes());
    shape.input_size.push_back(size);
  }
  shape.output_size = output_size(op, op_dims, geometry, shape.input_size);
  check_output_elements(op, shape, geometry.out_channels);
  return shape;
}

}  // namespace

void check_kind(
    std::string_view op, const ConvGeometry& geometry, int op_dims, bool op_transposed) {
  const bool same_dims = geometry.conv_dims == op_dims || (op_dims == 1 && geometry.may_run_as_1d);
  QCONV_CHECK_VALUE(
      same_dims && geometry.transposed == op_transposed, op,
      "packed params must come from the prepack op of the same kind, got params of ",
      geometry.kind());
}

QuantizedInput check_quantized_input(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input) {
  const ActivationQuantization quantization = check_quantized_activation(op, "input", input);
  return {check_shape(op, op_dims, geometry, input), quantization};
}

ActivationQuantization check_quantized_addend(
    std::string_view op, const char* name, int op_dims, const ConvGeometry& geometry,
    const RunShape& shape, const at::Tensor& addend) {
  const ActivationQuantization quantization = check_quantized_activation(op, name, addend);
  const Sizes expected = output_sizes(op_dims, geometry, shape);
  QCONV_CHECK_VALUE(
      addend.sizes() == expected, op, name, " must have the output's size ",
      c10::IntArrayRef(expected), ", got ", addend.sizes());
  return quantization;
}

RunShape check_integer_input(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input,
    double scale, int64_t zero_point) {
  check_readable(op, "input", input);
  QCONV_CHECK_TYPE(
      input.scalar_type() == at::kByte || input.scalar_type() == at::kChar, op,
      "input must have dtype torch.uint8 or torch.int8, got ", dtype_name(input));
  check_scale(op, "input scale", scale);
  check_zero_point(op, "input zero point", input.scalar_type(), zero_point);
  return check_shape(op, op_dims, geometry, input);
}

RunShape check_float_input(
    std::string_view op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input) {
  check_readable(op, "input", input);
  QCONV_CHECK_TYPE(
      input.scalar_type() == at::kFloat, op, "input must have dtype torch.float32, got ",
      dtype_name(input));
  return check_shape(op, op_dims, geometry, input);
}

void check_zero_point(
    std::string_view op, ArgumentName name, c10::ScalarType dtype, int64_t zero_point) {
  const int64_t smallest = dtype == at::kByte ? 0 : -128;
  QCONV_CHECK_VALUE(
      zero_point >= smallest && zero_point <= smallest + 255, op, name, " must be in [", smallest,
      ", ", smallest + 255, "], got ", zero_point);
}

void check_output_quantization(
    std::string_view op, c10::ScalarType dtype, double scale, int64_t zero_point) {
  check_scale(op, "output_scale", scale);
  check_zero_point(op, "output_zero_point", dtype, zero_point);
}

Sizes output_sizes(int op_dims, const ConvGeometry& geometry, const RunShape& shape) {
  Sizes sizes{shape.batch, geometry.out_channels};
  sizes.append(shape.output_size.end() - op_dims, shape.output_size.end());
  return sizes;
}

}  // namespace qconv
