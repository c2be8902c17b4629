#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conv/check.h"
#include "packed_params/packed_params.h"
#include "packed_params/run.h"

namespace qconv {

// The ops of one kind of convolution: kDims spatial dimensions, forward or transposed. schemas.cpp
// gives them their names.
template <int kDims, bool kTransposed>
struct ConvOps {
  using Params = PackedParams<kDims == 3 ? 3 : 2>;
  using Pointer = typename Params::Pointer;

  static std::string prepack_name() {
    return (kTransposed ? "conv_transpose" : "conv") + std::to_string(kDims) + "d_prepack";
  }

  static Pointer prepack_transposed(
      const at::Tensor& weight, const std::optional<at::Tensor>& bias, c10::IntArrayRef stride,
      c10::IntArrayRef padding, c10::IntArrayRef output_padding, c10::IntArrayRef dilation,
      int64_t groups, std::optional<std::string> engine) {
    ConvArguments arguments;
    arguments.conv_dims = kDims;
    arguments.transposed = kTransposed;
    arguments.weight = weight;
    arguments.bias = bias;
    arguments.stride = stride.vec();
    arguments.padding = padding.vec();
    arguments.output_padding = output_padding.vec();
    arguments.dilation = dilation.vec();
    arguments.groups = groups;
    return Params::pack(prepack_name(), arguments, {std::move(engine), std::nullopt});
  }

  static Pointer prepack(
      const at::Tensor& weight, const std::optional<at::Tensor>& bias, c10::IntArrayRef stride,
      c10::IntArrayRef padding, c10::IntArrayRef dilation, int64_t groups,
      std::optional<std::string> engine) {
    const Dims no_output_padding(kDims, 0);
    return prepack_transposed(
        weight, bias, stride, padding, no_output_padding, dilation, groups, std::move(engine));
  }

  template <PostOp kPostOp>
  static at::Tensor run(
      std::string_view op, const at::Tensor& input, const Pointer& params, double output_scale,
      int64_t output_zero_point) {
    check_kind(op, params->description().geometry, kDims, kTransposed);
    return run_conv(
        op, kDims, params->description(), params->packed(), input, std::nullopt, output_scale,
        output_zero_point, kPostOp);
  }

  // The sum of the convolution and qaccum, which isn't changed.
  template <PostOp kPostOp>
  static at::Tensor run_add(
      std::string_view op, const at::Tensor& input, const at::Tensor& addend, const Pointer& params,
      double output_scale, int64_t output_zero_point) {
    check_kind(op, params->description().geometry, kDims, kTransposed);
    return run_conv(
        op, kDims, params->description(), params->packed(), input, addend, output_scale,
        output_zero_point, kPostOp);
  }

  // PyTorch's older form, which repeats the packed arguments: they must be the packed ones.
  template <PostOp kPostOp>
  static at::Tensor run_with_arguments(
      std::string_view op, const at::Tensor& input, const Pointer& params, const Dims& stride,
      const Dims& padding, const Dims& dilation, int64_t groups, double output_scale,
      int64_t output_zero_point) {
    const ConvGeometry& packed = params->description().geometry;
    QCONV_CHECK_VALUE(
        stride == packed.stride && padding == packed.padding && dilation == packed.dilation &&
            groups == packed.groups,
        op, "arguments must equal the packed ones, stride ", packed.stride, ", padding ",
        packed.padding, ", dilation ", packed.dilation, ", groups ", packed.groups,
        "; leave them out");
    return run<kPostOp>(op, input, params, output_scale, output_zero_point);
  }

  static at::Tensor run_dynamic(
      std::string_view op, const at::Tensor& input, const Pointer& params, bool reduce_range) {
    check_kind(op, params->description().geometry, kDims, kTransposed);
    return run_conv_dynamic(
        op, kDims, params->description(), params->packed(), input, reduce_range);
  }

  static std::tuple<at::Tensor, std::optional<at::Tensor>> unpack(
      std::string_view op, const Pointer& params) {
    check_kind(op, params->description().geometry, kDims, kTransposed);
    auto [weight, bias] = params->unpack();
    return {kDims == 1 ? weight.squeeze(2) : weight, bias};
  }
};

}  // namespace qconv
