#include "engines/convolve.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "engines/verbose.h"

namespace qconv {
namespace {

int64_t output_elements(const ConvDescription& conv, const RunShape& shape) {
  int64_t count = shape.batch * conv.geometry.out_channels;
  for (int64_t size : shape.output_size) {
    count *= size;
  }
  return count;
}

}  // namespace

void flip_sign_bits(const uint8_t* values, int64_t count, uint8_t* flipped) {
  constexpr int64_t kGrain = 65536;
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      flipped[i] = values[i] ^ 0x80;
    }
  });
}

void convolve(
    std::string_view op, const ConvDescription& conv, const PackedConv& packed,
    const RunShape& shape, const Activation& input, const Epilogue& epilogue,
    const Output& output) {
  tell_of_run(op, packed, shape);
  const bool plain = !epilogue.addend && epilogue.function == PointwiseFunction::kNone;
  const bool relu = !epilogue.addend && epilogue.function == PointwiseFunction::kRelu;
  const PostOp post_op = relu ? PostOp::kRelu : PostOp::kNone;
  auto* const bytes = static_cast<uint8_t*>(output.data);
  if ((plain || relu) && output.dtype == c10::ScalarType::Byte) {
    packed.run(op, shape, input, output.quantization, post_op, bytes);
    return;
  }
  if (packed.run_fused(op, shape, input, epilogue, output)) {
    return;
  }
  if ((plain || relu) && output.dtype == c10::ScalarType::Char) {
    // int8 q with zero point z is uint8 q + 128 with zero point z + 128.
    OutputQuantization quantization = output.quantization;
    quantization.zero_point += kSignedToUnsigned;
    packed.run(op, shape, input, quantization, post_op, bytes);
    flip_sign_bits(bytes, output_elements(conv, shape), bytes);
    return;
  }
  if (plain && output.dtype == c10::ScalarType::Float) {
    packed.run_to_float(shape, input, static_cast<float*>(output.data));
    return;
  }
  const int64_t count = output_elements(conv, shape);
  const at::Tensor real = at::empty({count}, at::TensorOptions().dtype(at::kFloat));
  auto* const real_data = real.mutable_data_ptr<float>();
  packed.run_to_float(shape, input, real_data);
  apply_epilogue(real_data, count, epilogue, output);
}

}  // namespace qconv
