// Depthwise convolution with AVX-VNNI; depthwise_vectors.h says how.
#include "native/kernels/avx_vnni/depthwise.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "native/kernels/depthwise_narrow.h"
#include "native/kernels/depthwise_plan.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx_vnni/dot.h"
#include "native/kernels/depthwise_vectors.h"
#include "native/kernels/depthwise_ymm.h"

namespace qconv::native {
namespace {

struct AvxVnniDot {
  static inline __attribute__((always_inline)) void add(
      __m256i& sum, __m256i bundle, __m256i weight) {
    dot_vnni(sum, bundle, weight);
  }
};

}  // namespace

void depthwise_avx_vnni(const DepthwiseArguments& arguments) {
  depthwise<YmmQuads<AvxVnniDot>>(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
