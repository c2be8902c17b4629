#pragma once

#include "native/epilogue.h"

namespace qconv::native {

// The sums of a part of a convolution on their way to the output. Every instruction set takes the
// same steps, each rounded as IEEE 754 says, so that all give the same bytes.
//
// In float32, where its caller knows that it is exact enough (see run/output_plan.h):
//   real = fma(float(sum), multiplier[c], offset[c])
// else in float64:
//   real = (sum + zero_point_sum[c]) * scale[c] + bias[c]
// and then, in the same type, the addend, the function and the output's rounding.
struct PointwiseArguments {
  int64_t count = 0;
  const int32_t* sums = nullptr;  // [count]
  const float* reals = nullptr;   // [count], where there are no sums: the real numbers, in float64

  // Sum i is of channel c = i % channels. `channels` should be large: several pixels' where a pixel
  // has few.
  int64_t channels = 1;
  const float* multiplier = nullptr;  // null: in float64
  const float* offset = nullptr;
  const double* zero_point_sum = nullptr;
  const double* scale = nullptr;
  const double* bias = nullptr;

  // Addend and output lie in rows of `row_elements`, their strides in elements.
  int64_t row_elements = 1;
  int64_t addend_row_stride = 0;
  int64_t output_row_stride = 0;
  Epilogue epilogue;  // the addend's data: of element 0
  RunOutput output;   // data: of element 0
};

using PointwiseKernel = void (*)(const PointwiseArguments& arguments);

// Quantizes float32 numbers: q = clamp(round_half_to_even(fma(value, inverse, zero_point)), 0,
// 255), in float32. A NaN becomes 0. The memories don't overlap.
using QuantizeKernel = void (*)(
    const float* values, int64_t count, float inverse, int32_t zero_point, uint8_t* quantized);

void pointwise_scalar(const PointwiseArguments& arguments);
void quantize_scalar(
    const float* values, int64_t count, float inverse, int32_t zero_point, uint8_t* quantized);
#if defined(__x86_64__)
void pointwise_avx2(const PointwiseArguments& arguments);
void quantize_avx2(
    const float* values, int64_t count, float inverse, int32_t zero_point, uint8_t* quantized);
void pointwise_avx512(const PointwiseArguments& arguments);
void quantize_avx512(
    const float* values, int64_t count, float inverse, int32_t zero_point, uint8_t* quantized);
#endif

}  // namespace qconv::native
