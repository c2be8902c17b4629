#include "depthwise_avx_vnni_evex.h"

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
namespace {

struct EvexDot {
  static inline __attribute__((always_inline)) void add(
      __m256i& sum, __m256i bundle, __m256i weight) {
    __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(bundle), "x"(weight));
  }
};

}  // namespace

void depthwise_avx_vnni_evex(const DepthwiseArguments& arguments) {
  depthwise<YmmQuads<EvexDot>>(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
