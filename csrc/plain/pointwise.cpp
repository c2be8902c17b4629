#include "plain/pointwise.h"

#include "conv/check.h"
#include "conv/check_input.h"
#include "conv/check_tensor.h"
#include "engines/channels_last.h"
#include "engines/convolve.h"
#include "plain/epilogue_arguments.h"
#include "plain/packed_cache.h"

namespace qconv {
namespace {

std::shared_ptr<const PackedPlainConv> packed_conv(std::string_view op, const PlainWeight& weight) {
  check_plain_weight(op, weight);
  if (std::shared_ptr<const PackedPlainConv> found = find_packed(weight)) {
    return found;
  }
  std::shared_ptr<const PackedPlainConv> packed =
      pack_plain(op, weight, {remembered_engine(weight.weight), std::nullopt});
  remember_packed(weight, packed);
  return packed;
}

}  // namespace

at::Tensor run_pointwise(
    std::string_view op, std::optional<int> op_dims, const PointwiseCall& call,
    const std::optional<BinaryCall>& binary) {
  const std::shared_ptr<const PackedPlainConv> packed = packed_conv(op, call.weight);
  const ConvDescription& conv = *packed->conv;
  const int dims = conv.geometry.conv_dims;
  QCONV_CHECK_VALUE(
      op_dims.value_or(dims) == dims, op, "weight must have ", op_dims.value_or(dims) + 2,
      " dimensions, got ", dims + 2);
  const RunShape shape = check_integer_input(
      op, dims, conv.geometry, call.input, call.input_scale, call.input_zero_point);
  const c10::ScalarType dtype = output_dtype(op, call);
  Epilogue epilogue = function_epilogue(op, call, binary);
  ChannelsLast addend_memory;
  if (binary) {
    check_addend(op, *binary, dtype, output_sizes(dims, conv.geometry, shape));
    addend_memory = to_channels_last(binary->addend);
    epilogue.addend = Addend{
        addend_memory.data,
        binary->addend.scalar_type(),
        {binary->scale, static_cast<int32_t>(binary->zero_point)}};
  }
  at::Tensor output = empty_output(dims, conv.geometry, shape, dtype);
  if (shape.batch > 0) {
    const PreparedActivation activation = prepare_activation(
        *packed->packing.packed, call.input,
        {call.input_scale, static_cast<int32_t>(call.input_zero_point)});
    convolve(
        op, conv, *packed->packing.packed, shape, activation.view, epilogue,
        {output.mutable_data_ptr(),
         dtype,
         {call.output_scale, static_cast<int32_t>(call.output_zero_point)}});
  }
  if (binary && writes_to_addend(*binary)) {
    binary->addend.copy_(output);
  }
  return output;
}

at::Tensor prepack_plain(
    std::string_view op, const PlainWeight& weight, double input_scale, int64_t input_zero_point,
    c10::OptionalIntArrayRef input_size) {
  check_plain_weight(op, weight);
  check_scale(op, "input scale", input_scale);
  // The input's dtype isn't known yet.
  QCONV_CHECK_VALUE(
      input_zero_point >= -128 && input_zero_point <= 255, op,
      "input zero point must be in [-128, 255], got ", input_zero_point);
  const int dims = static_cast<int>(weight.weight.dim()) - 2;
  const ConvGeometry geometry = check_geometry(
      op, dims, /*transposed=*/false, weight.weight.sizes(),
      {weight.stride, weight.padding, Dims(dims, 0), weight.dilation, weight.groups});
  if (input_size && !input_size->empty()) {
    QCONV_CHECK_VALUE(
        static_cast<int>(input_size->size()) == dims + 2, op, "x_shape must have ", dims + 2,
        " elements [batch, channels, spatial...], got ", *input_size);
    QCONV_CHECK_VALUE(
        (*input_size)[1] == geometry.in_channels, op, "x_shape must have ", geometry.in_channels,
        " channels, got ", *input_size);
    Dims stored(geometry.spatial_dims() - dims, 1);
    stored.append(input_size->begin() + 2, input_size->end());
    for (int64_t size : stored) {
      QCONV_CHECK_VALUE(size > 0, op, "x_shape must be positive, got ", *input_size);
    }
    output_size(op, dims, geometry, stored);
  }
  // A copy in any case: what is done to the original later changes nothing.
  const at::Tensor result =
      weight.weight.detach().movedim(1, -1).clone(at::MemoryFormat::Contiguous).movedim(-1, 1);
  remember_engine(result, asked_for_engine({}));
  return result;
}

}  // namespace qconv
