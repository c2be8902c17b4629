#include "conv/check_input.h"

#include <c10/util/safe_numerics.h>

#include <algorithm>

#include "conv/check.h"
#include "conv/check_tensor.h"

namespace qconv {
namespace {

void check_uint8_zero_point(const std::string& op, const char* name, int64_t zero_point) {
  QCONV_CHECK_VALUE(
      zero_point >= 0 && zero_point <= 255, op, name, " must be in [0, 255], got ", zero_point);
}

// Elements of the output, which must be countable before anything is allocated.
void check_output_elements(const std::string& op, const RunShape& shape, int64_t out_channels) {
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
    const std::string& op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input) {
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
    const std::string& op, const ConvGeometry& geometry, int op_dims, bool op_transposed) {
  const bool same_dims = geometry.conv_dims == op_dims || (op_dims == 1 && geometry.may_run_as_1d);
  QCONV_CHECK_VALUE(
      same_dims && geometry.transposed == op_transposed, op,
      "packed params must come from the prepack op of the same kind, got params of ",
      geometry.kind());
}

RunShape check_quantized_input(
    const std::string& op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input) {
  check_readable(op, "input", input);
  QCONV_CHECK_IMPLEMENTED(
      input.scalar_type() != at::kQInt8, op,
      "input of dtype torch.qint8 isn't supported; quantize activations to torch.quint8");
  QCONV_CHECK_TYPE(
      input.scalar_type() == at::kQUInt8, op, "input must have dtype torch.quint8, got ",
      dtype_name(input), "; quantize a float input with torch.quantize_per_tensor");
  check_quantized(op, "input", input);
  QCONV_CHECK_VALUE(
      input.qscheme() == at::kPerTensorAffine, op,
      "input must be quantized per_tensor_affine, got ", toString(input.qscheme()));
  check_scale(op, "input scale", input.q_scale());
  check_uint8_zero_point(op, "input zero point", input.q_zero_point());
  return check_shape(op, op_dims, geometry, input);
}

RunShape check_float_input(
    const std::string& op, int op_dims, const ConvGeometry& geometry, const at::Tensor& input) {
  check_readable(op, "input", input);
  QCONV_CHECK_TYPE(
      input.scalar_type() == at::kFloat, op, "input must have dtype torch.float32, got ",
      dtype_name(input));
  return check_shape(op, op_dims, geometry, input);
}

void check_output_quantization(const std::string& op, double scale, int64_t zero_point) {
  check_scale(op, "output_scale", scale);
  check_uint8_zero_point(op, "output_zero_point", zero_point);
}

}  // namespace qconv
