// Depthwise convolution with AVX2; depthwise_vectors.h says how.
#include "native/kernels/avx2/depthwise.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "native/kernels/depthwise_narrow.h"
#include "native/kernels/depthwise_plan.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/depthwise_vectors.h"
#include "native/kernels/depthwise_ymm.h"

namespace qconv::native {

void depthwise_avx2(const DepthwiseArguments& arguments) {
  depthwise<YmmPairs>(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
