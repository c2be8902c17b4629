#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conv/check.h"
#include "conv/check_tensor.h"
#include "plain/pointwise.h"

namespace qconv {

// The ops on plain tensors, with the argument lists of PyTorch's onednn:: ops of these names.

inline at::Tensor qconv_prepack(
    const at::Tensor& weight, const at::Tensor& w_scales, double x_scale, int64_t x_zp,
    c10::IntArrayRef stride, c10::IntArrayRef padding, c10::IntArrayRef dilation, int64_t groups,
    at::OptionalIntArrayRef x_shape) {
  PlainWeight plain;
  plain.weight = weight;
  plain.scales = w_scales;
  plain.stride.assign(stride.begin(), stride.end());
  plain.padding.assign(padding.begin(), padding.end());
  plain.dilation.assign(dilation.begin(), dilation.end());
  plain.groups = groups;
  return prepack_plain("qconv_prepack", plain, x_scale, x_zp, x_shape);
}

// The run ops of one number of spatial dimensions, or of any (0).
template <int kDims>
struct PointwiseOps {
  using Scalars = c10::List<std::optional<c10::Scalar>>;

  // The value of a tensor with one element.
  template <typename Value>
  static Value value_of(std::string_view op, const char* argument, const at::Tensor& tensor) {
    check_readable(op, argument, tensor);
    QCONV_CHECK_VALUE(
        tensor.numel() == 1 && !tensor.is_complex(), op, argument,
        " must be a number or a tensor with one element, got size ", tensor.sizes());
    return tensor.item().to<Value>();
  }

  static PointwiseCall call(
      const at::Tensor& qx, double x_scale, int64_t x_zero_point, const at::Tensor& qw,
      const at::Tensor& w_scale, const at::Tensor& w_zero_point,
      const std::optional<at::Tensor>& bias, const Dims& stride, const Dims& padding,
      const Dims& dilation, int64_t groups, double output_scale, int64_t output_zero_point,
      std::optional<c10::ScalarType> output_dtype, std::string attribute, Scalars scalars,
      std::optional<std::string> algorithm) {
    PointwiseCall result;
    result.input = qx;
    result.input_scale = x_scale;
    result.input_zero_point = x_zero_point;
    result.weight = {qw, w_scale, w_zero_point, bias, stride, padding, dilation, groups};
    result.output_scale = output_scale;
    result.output_zero_point = output_zero_point;
    result.output_dtype = output_dtype;
    result.function = std::move(attribute);
    result.scalars = std::move(scalars);
    result.algorithm = std::move(algorithm);
    return result;
  }

  static at::Tensor run(
      std::string_view op, const PointwiseCall& call, const std::optional<BinaryCall>& binary) {
    return run_pointwise(op, kDims == 0 ? std::nullopt : std::make_optional(kDims), call, binary);
  }

  static at::Tensor pointwise(
      std::string_view op, const at::Tensor& qx, double x_scale, int64_t x_zero_point,
      const at::Tensor& qw, const at::Tensor& w_scale, const at::Tensor& w_zero_point,
      const std::optional<at::Tensor>& bias, const Dims& stride, const Dims& padding,
      const Dims& dilation, int64_t groups, double output_scale, int64_t output_zero_point,
      std::optional<c10::ScalarType> output_dtype, std::string attr, Scalars scalars,
      std::optional<std::string> algorithm) {
    return run(
        op,
        call(
            qx, x_scale, x_zero_point, qw, w_scale, w_zero_point, bias, stride, padding, dilation,
            groups, output_scale, output_zero_point, output_dtype, std::move(attr),
            std::move(scalars), std::move(algorithm)),
        std::nullopt);
  }

  static at::Tensor pointwise_tensor(
      std::string_view op, const at::Tensor& qx, const at::Tensor& x_scale,
      const at::Tensor& x_zero_point, const at::Tensor& qw, const at::Tensor& w_scale,
      const at::Tensor& w_zero_point, const std::optional<at::Tensor>& bias, const Dims& stride,
      const Dims& padding, const Dims& dilation, int64_t groups, double output_scale,
      int64_t output_zero_point, std::optional<c10::ScalarType> output_dtype, std::string attr,
      Scalars scalars, std::optional<std::string> algorithm) {
    return pointwise(
        op, qx, value_of<double>(op, "x_scale", x_scale),
        value_of<int64_t>(op, "x_zero_point", x_zero_point), qw, w_scale, w_zero_point, bias,
        stride, padding, dilation, groups, output_scale, output_zero_point, output_dtype,
        std::move(attr), std::move(scalars), std::move(algorithm));
  }

  static at::Tensor binary(
      std::string_view op, const at::Tensor& qx, double x_scale, int64_t x_zero_point,
      const at::Tensor& qw, const at::Tensor& w_scale, const at::Tensor& w_zero_point,
      const at::Tensor& qaccum, const std::optional<at::Tensor>& bias, const Dims& stride,
      const Dims& padding, const Dims& dilation, int64_t groups, double output_scale,
      int64_t output_zero_point, std::optional<c10::ScalarType> output_dtype, double accum_scale,
      int64_t accum_zero_point, std::string binary_attr, std::optional<c10::Scalar> alpha,
      std::optional<std::string> unary_attr, Scalars unary_scalars,
      std::optional<std::string> unary_algorithm) {
    return run(
        op,
        call(
            qx, x_scale, x_zero_point, qw, w_scale, w_zero_point, bias, stride, padding, dilation,
            groups, output_scale, output_zero_point, output_dtype, unary_attr.value_or("none"),
            std::move(unary_scalars), std::move(unary_algorithm)),
        BinaryCall{std::move(binary_attr), qaccum, accum_scale, accum_zero_point, alpha});
  }

  static at::Tensor binary_tensor(
      std::string_view op, const at::Tensor& qx, const at::Tensor& x_scale,
      const at::Tensor& x_zero_point, const at::Tensor& qw, const at::Tensor& w_scale,
      const at::Tensor& w_zero_point, const at::Tensor& qaccum,
      const std::optional<at::Tensor>& bias, const Dims& stride, const Dims& padding,
      const Dims& dilation, int64_t groups, double output_scale, int64_t output_zero_point,
      std::optional<c10::ScalarType> output_dtype, double accum_scale, int64_t accum_zero_point,
      std::string binary_attr, std::optional<c10::Scalar> alpha,
      std::optional<std::string> unary_attr, Scalars unary_scalars,
      std::optional<std::string> unary_algorithm) {
    return binary(
        op, qx, value_of<double>(op, "x_scale", x_scale),
        value_of<int64_t>(op, "x_zero_point", x_zero_point), qw, w_scale, w_zero_point, qaccum,
        bias, stride, padding, dilation, groups, output_scale, output_zero_point, output_dtype,
        accum_scale, accum_zero_point, std::move(binary_attr), alpha, std::move(unary_attr),
        std::move(unary_scalars), std::move(unary_algorithm));
  }
};

}  // namespace qconv
