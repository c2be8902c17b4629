// Every op of the library: its schema, as PyTorch's op of that name has it, and its function.
// Prepack ops add the keyword `engine`; the _relu forms of transposed convolutions, and the _add
// forms of all but conv2d, are ours alone.

#include <torch/library.h>

#include "engines/engine_table.h"
#include "ops/boxed.h"
#include "ops/engine_ops.h"
#include "ops/ops.h"
#include "ops/plain_ops.h"
#include "packed_params/register_classes.h"

namespace qconv {
namespace {

#define PARAMS_2D "__torch__.torch.classes.torch_qconv_prepack.Conv2dPackedParams"
#define PARAMS_3D "__torch__.torch.classes.torch_qconv_prepack.Conv3dPackedParams"
#define STOCK_PARAMS_2D "__torch__.torch.classes.quantized.Conv2dPackedParamsBase"
#define STOCK_PARAMS_3D "__torch__.torch.classes.quantized.Conv3dPackedParamsBase"
#define PREPACK_ARGUMENTS                                                                      \
  "(Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, int groups, *, " \
  "str? engine=None) -> "
#define PREPACK_TRANSPOSED_ARGUMENTS                                                  \
  "(Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] output_padding, " \
  "int[] dilation, int groups, *, str? engine=None) -> "
#define RUN_ARGUMENTS(params) \
  "(Tensor qx, " params " packed_weight, float output_scale, int output_zero_point) -> Tensor"
#define RUN_WITH_ARGUMENTS(params)                                     \
  "(Tensor qx, " params                                                \
  " weight, int[] stride, int[] padding, int[] dilation, int groups, " \
  "float output_scale, int output_zero_point) -> Tensor"
#define ADD_ARGUMENTS(params)                                   \
  "(Tensor qx, Tensor qaccum, " params                          \
  " packed_weight, float output_scale, int output_zero_point) " \
  "-> Tensor"
#define DYNAMIC_ARGUMENTS(params) \
  "(Tensor qx, " params " packed_weight, bool reduce_range=False) -> Tensor"
#define UNPACK_ARGUMENTS(params) \
  "(" params " packed_weights) -> (Tensor unpacked_weights, Tensor? B_origin)"

// Of the ops on plain tensors, which are those of PyTorch's onednn:: namespace.
#define POINTWISE_INPUTS(number, integer)    \
  "(Tensor qx, " number " x_scale, " integer \
  " x_zero_point, Tensor qw, Tensor w_scale, Tensor w_zero_point, "
#define POINTWISE_CONV                                                                          \
  "Tensor? bias, int[] stride, int[] padding, int[] dilation, int groups, float output_scale, " \
  "int output_zero_point, ScalarType? output_dtype, "
#define UNARY_ARGUMENTS POINTWISE_CONV "str attr, Scalar?[] scalars, str? algorithm) -> Tensor"
#define BINARY_ARGUMENTS                                                                       \
  "Tensor(a!) qaccum, " POINTWISE_CONV                                                         \
  "float accum_scale, int accum_zero_point, str binary_attr, Scalar? alpha, str? unary_attr, " \
  "Scalar?[] unary_scalars, str? unary_algorithm) -> Tensor"

using Conv1d = ConvOps<1, false>;
using Conv2d = ConvOps<2, false>;
using Conv3d = ConvOps<3, false>;
using ConvTranspose1d = ConvOps<1, true>;
using ConvTranspose2d = ConvOps<2, true>;
using ConvTranspose3d = ConvOps<3, true>;

// Deprecated name of conv2d_prepack, which old files call: without a warning, as in PyTorch. They
// call conv_unpack as well.
Conv2d::Pointer conv_prepack(
    const at::Tensor& weight, const std::optional<at::Tensor>& bias, c10::IntArrayRef stride,
    c10::IntArrayRef padding, c10::IntArrayRef dilation, int64_t groups,
    std::optional<std::string> engine) {
  return Conv2d::prepack(weight, bias, stride, padding, dilation, groups, std::move(engine));
}

// What Python's helpers stand on; see torch_qconv_prepack/_states.py.
template <int kSpatialDims>
c10::IValue get_state(
    const typename PackedParams<kSpatialDims>::Pointer& params, std::optional<int64_t> version) {
  return params->stock_state("get_state", version);
}

template <int kSpatialDims>
typename PackedParams<kSpatialDims>::Pointer from_state(
    const c10::IValue& state, std::optional<std::string> engine) {
  return PackedParams<kSpatialDims>::from_state("from_state", state, std::move(engine));
}

template <int kSpatialDims>
typename PackedParams<kSpatialDims>::Pointer from_quantized(
    const typename PackedParams<kSpatialDims>::StockPointer& stock,
    std::optional<std::string> engine) {
  return PackedParams<kSpatialDims>::from_quantized("from_quantized", stock, engine);
}

// The object as this package's class, whichever of its two types it wears.
template <int kSpatialDims>
typename PackedParams<kSpatialDims>::Pointer own(
    std::string_view, const typename PackedParams<kSpatialDims>::Pointer& params) {
  return params;
}

// One function for every backend and none of the autograd keys: a tensor that an op doesn't take,
// such as a float or meta one, gets the op's own error and not the dispatcher's.
template <typename Function>
void define(torch::Library& library, const char* schema, Function function) {
  library.def(
      schema, torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, std::move(function)));
}

#define BOXED(function) torch::CppFunction::makeFromBoxedFunction<&Boxed<&function>::call>()

// The run ops on plain tensors of one number of dimensions.
template <int kDims>
void define_pointwise(torch::Library& library, const std::string& name) {
  using Ops = PointwiseOps<kDims>;
  define(
      library, (name + POINTWISE_INPUTS("float", "int") UNARY_ARGUMENTS).c_str(),
      BOXED(Ops::pointwise));
  define(
      library, (name + ".tensor" POINTWISE_INPUTS("Tensor", "Tensor") UNARY_ARGUMENTS).c_str(),
      BOXED(Ops::pointwise_tensor));
  define(
      library, (name + ".binary" POINTWISE_INPUTS("float", "int") BINARY_ARGUMENTS).c_str(),
      BOXED(Ops::binary));
  define(
      library,
      (name + ".binary_tensor" POINTWISE_INPUTS("Tensor", "Tensor") BINARY_ARGUMENTS).c_str(),
      BOXED(Ops::binary_tensor));
}

}  // namespace

TORCH_LIBRARY(torch_qconv_prepack, m) {
  register_packed_params_classes(m);

  // Prepack
  define(m, "conv_prepack" PREPACK_ARGUMENTS PARAMS_2D, TORCH_FN(conv_prepack));
  define(m, "conv1d_prepack" PREPACK_ARGUMENTS PARAMS_2D, TORCH_FN(Conv1d::prepack));
  define(m, "conv2d_prepack" PREPACK_ARGUMENTS PARAMS_2D, TORCH_FN(Conv2d::prepack));
  define(m, "conv3d_prepack" PREPACK_ARGUMENTS PARAMS_3D, TORCH_FN(Conv3d::prepack));
  define(
      m, "conv_transpose1d_prepack" PREPACK_TRANSPOSED_ARGUMENTS PARAMS_2D,
      TORCH_FN(ConvTranspose1d::prepack_transposed));
  define(
      m, "conv_transpose2d_prepack" PREPACK_TRANSPOSED_ARGUMENTS PARAMS_2D,
      TORCH_FN(ConvTranspose2d::prepack_transposed));
  define(
      m, "conv_transpose3d_prepack" PREPACK_TRANSPOSED_ARGUMENTS PARAMS_3D,
      TORCH_FN(ConvTranspose3d::prepack_transposed));

  // Run
  define(m, "conv1d" RUN_ARGUMENTS(PARAMS_2D), BOXED(Conv1d::run<PostOp::kNone>));
  define(m, "conv1d_relu" RUN_ARGUMENTS(PARAMS_2D), BOXED(Conv1d::run<PostOp::kRelu>));
  define(m, "conv2d.new" RUN_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::run<PostOp::kNone>));
  define(m, "conv2d_relu.new" RUN_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::run<PostOp::kRelu>));
  define(m, "conv3d.new" RUN_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::run<PostOp::kNone>));
  define(m, "conv3d_relu.new" RUN_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::run<PostOp::kRelu>));
  define(
      m, "conv_transpose1d" RUN_ARGUMENTS(PARAMS_2D), BOXED(ConvTranspose1d::run<PostOp::kNone>));
  define(
      m, "conv_transpose1d_relu" RUN_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose1d::run<PostOp::kRelu>));
  define(
      m, "conv_transpose2d" RUN_ARGUMENTS(PARAMS_2D), BOXED(ConvTranspose2d::run<PostOp::kNone>));
  define(
      m, "conv_transpose2d_relu" RUN_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose2d::run<PostOp::kRelu>));
  define(
      m, "conv_transpose3d" RUN_ARGUMENTS(PARAMS_3D), BOXED(ConvTranspose3d::run<PostOp::kNone>));
  define(
      m, "conv_transpose3d_relu" RUN_ARGUMENTS(PARAMS_3D),
      BOXED(ConvTranspose3d::run<PostOp::kRelu>));

  // Run, the older form with the packed arguments repeated
  define(
      m, "conv2d" RUN_WITH_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::run_with_arguments<PostOp::kNone>));
  define(
      m, "conv2d_relu" RUN_WITH_ARGUMENTS(PARAMS_2D),
      BOXED(Conv2d::run_with_arguments<PostOp::kRelu>));
  define(
      m, "conv3d" RUN_WITH_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::run_with_arguments<PostOp::kNone>));
  define(
      m, "conv3d_relu" RUN_WITH_ARGUMENTS(PARAMS_3D),
      BOXED(Conv3d::run_with_arguments<PostOp::kRelu>));

  // Run and add a tensor
  define(m, "conv1d_add" ADD_ARGUMENTS(PARAMS_2D), BOXED(Conv1d::run_add<PostOp::kNone>));
  define(m, "conv1d_add_relu" ADD_ARGUMENTS(PARAMS_2D), BOXED(Conv1d::run_add<PostOp::kRelu>));
  define(m, "conv2d_add" ADD_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::run_add<PostOp::kNone>));
  define(m, "conv2d_add_relu" ADD_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::run_add<PostOp::kRelu>));
  define(m, "conv3d_add" ADD_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::run_add<PostOp::kNone>));
  define(m, "conv3d_add_relu" ADD_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::run_add<PostOp::kRelu>));
  define(
      m, "conv_transpose1d_add" ADD_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose1d::run_add<PostOp::kNone>));
  define(
      m, "conv_transpose1d_add_relu" ADD_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose1d::run_add<PostOp::kRelu>));
  define(
      m, "conv_transpose2d_add" ADD_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose2d::run_add<PostOp::kNone>));
  define(
      m, "conv_transpose2d_add_relu" ADD_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose2d::run_add<PostOp::kRelu>));
  define(
      m, "conv_transpose3d_add" ADD_ARGUMENTS(PARAMS_3D),
      BOXED(ConvTranspose3d::run_add<PostOp::kNone>));
  define(
      m, "conv_transpose3d_add_relu" ADD_ARGUMENTS(PARAMS_3D),
      BOXED(ConvTranspose3d::run_add<PostOp::kRelu>));

  // Run on float activations
  define(m, "conv1d_dynamic" DYNAMIC_ARGUMENTS(PARAMS_2D), BOXED(Conv1d::run_dynamic));
  define(m, "conv2d_dynamic" DYNAMIC_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::run_dynamic));
  define(m, "conv3d_dynamic" DYNAMIC_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::run_dynamic));
  define(
      m, "conv_transpose1d_dynamic" DYNAMIC_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose1d::run_dynamic));
  define(
      m, "conv_transpose2d_dynamic" DYNAMIC_ARGUMENTS(PARAMS_2D),
      BOXED(ConvTranspose2d::run_dynamic));
  define(
      m, "conv_transpose3d_dynamic" DYNAMIC_ARGUMENTS(PARAMS_3D),
      BOXED(ConvTranspose3d::run_dynamic));

  // Unpack
  define(m, "conv_unpack" UNPACK_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::unpack));
  define(m, "conv1d_unpack" UNPACK_ARGUMENTS(PARAMS_2D), BOXED(Conv1d::unpack));
  define(m, "conv2d_unpack" UNPACK_ARGUMENTS(PARAMS_2D), BOXED(Conv2d::unpack));
  define(m, "conv3d_unpack" UNPACK_ARGUMENTS(PARAMS_3D), BOXED(Conv3d::unpack));
  define(m, "conv_transpose1d_unpack" UNPACK_ARGUMENTS(PARAMS_2D), BOXED(ConvTranspose1d::unpack));
  define(m, "conv_transpose2d_unpack" UNPACK_ARGUMENTS(PARAMS_2D), BOXED(ConvTranspose2d::unpack));
  define(m, "conv_transpose3d_unpack" UNPACK_ARGUMENTS(PARAMS_3D), BOXED(ConvTranspose3d::unpack));

  // Plain tensors
  define(
      m,
      "qconv_prepack(Tensor weight, Tensor w_scales, float x_scale, int x_zp, int[] stride, "
      "int[] padding, int[] dilation, int groups, int[]? x_shape=None) -> Tensor",
      TORCH_FN(qconv_prepack));
  define_pointwise<0>(m, "qconv_pointwise");
  define_pointwise<1>(m, "qconv1d_pointwise");
  define_pointwise<2>(m, "qconv2d_pointwise");
  define_pointwise<3>(m, "qconv3d_pointwise");

  // Saved states and PyTorch's objects
  define(m, "_get_state2d(" PARAMS_2D " params, int? version=None) -> Any", TORCH_FN(get_state<2>));
  define(m, "_from_state2d(Any state, *, str? engine=None) -> " PARAMS_2D, TORCH_FN(from_state<2>));
  define(
      m, "_from_quantized2d(" STOCK_PARAMS_2D " params, *, str? engine=None) -> " PARAMS_2D,
      TORCH_FN(from_quantized<2>));
  define(m, "_own2d(" PARAMS_2D " params) -> " PARAMS_2D, BOXED(own<2>));
  define(m, "_get_state3d(" PARAMS_3D " params, int? version=None) -> Any", TORCH_FN(get_state<3>));
  define(m, "_from_state3d(Any state, *, str? engine=None) -> " PARAMS_3D, TORCH_FN(from_state<3>));
  define(
      m, "_from_quantized3d(" STOCK_PARAMS_3D " params, *, str? engine=None) -> " PARAMS_3D,
      TORCH_FN(from_quantized<3>));
  define(m, "_own3d(" PARAMS_3D " params) -> " PARAMS_3D, BOXED(own<3>));

  // Engines; see torch_qconv_prepack/_engine_info.py
  define(m, "_engines() -> ((str, bool, bool, str, str, str)[])", TORCH_FN(engines));
  define(m, "_engine_names() -> str[]", TORCH_FN(engine_names));
  define(m, "_release_scratch() -> int", TORCH_FN(release_scratch));
}

}  // namespace qconv
