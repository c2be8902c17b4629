#include "native/kernels/pointwise.h"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/pointwise_stages.h"

namespace qconv::native {

void pointwise_avx2(const PointwiseArguments& arguments) {
  pointwise(arguments);
}

void quantize_avx2(
    const float* values, int64_t count, float inverse, int32_t zero_point, uint8_t* quantized) {
  quantize(values, count, inverse, zero_point, quantized);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
