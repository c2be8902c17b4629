#include "native/kernels/pointwise.h"

#include "native/kernels/pointwise_stages.h"

namespace qconv::native {

void pointwise_scalar(const PointwiseArguments& arguments) {
  pointwise(arguments);
}

void quantize_scalar(
    const float* values, int64_t count, float inverse, int32_t zero_point, uint8_t* quantized) {
  quantize(values, count, inverse, zero_point, quantized);
}

}  // namespace qconv::native
