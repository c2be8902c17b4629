#include "packed_params/run.h"

#include "conv/check_input.h"
#include "engines/channels_last.h"
#include "engines/convolve.h"
#include "engines/dynamic_activation.h"
#include "engines/verbose.h"

namespace qconv {

at::Tensor run_conv(
    std::string_view op, int op_dims, const ConvDescription& conv, const PackedConv& packed,
    const at::Tensor& input, const std::optional<at::Tensor>& addend, double output_scale,
    int64_t output_zero_point, PostOp post_op) {
  const auto [shape, quantization] = check_quantized_input(op, op_dims, conv.geometry, input);
  const c10::ScalarType output_dtype = c10::toUnderlying(input.scalar_type());
  check_output_quantization(op, output_dtype, output_scale, output_zero_point);
  Epilogue epilogue;
  if (post_op == PostOp::kRelu) {
    epilogue.function = PointwiseFunction::kRelu;
  }
  ChannelsLast addend_memory;
  if (addend) {
    const auto [scale, zero_point] =
        check_quantized_addend(op, "qaccum", op_dims, conv.geometry, shape, *addend);
    addend_memory = to_channels_last(*addend);
    epilogue.addend =
        Addend{addend_memory.data, c10::toUnderlying(addend->scalar_type()), {scale, zero_point}};
  }
  at::Tensor output = empty_quantized_output(
      op_dims, conv.geometry, shape, input.scalar_type(), output_scale, output_zero_point);
  if (shape.batch > 0) {
    const PreparedActivation activation = prepare_activation(packed, input, quantization);
    convolve(
        op, conv, packed, shape, activation.view, epilogue,
        {output.data_ptr(), output_dtype, {output_scale, static_cast<int32_t>(output_zero_point)}});
  }
  return output;
}

at::Tensor run_conv_dynamic(
    std::string_view op, int op_dims, const ConvDescription& conv, const PackedConv& packed,
    const at::Tensor& input, bool reduce_range) {
  const RunShape shape = check_float_input(op, op_dims, conv.geometry, input);
  at::Tensor output = empty_output(op_dims, conv.geometry, shape, at::kFloat);
  if (shape.batch > 0) {
    const PreparedActivation activation = quantize_dynamically(op, input, reduce_range);
    tell_of_run(op, packed, shape);
    packed.run_to_float(shape, activation.view, output.mutable_data_ptr<float>());
  }
  return output;
}

}  // namespace qconv
