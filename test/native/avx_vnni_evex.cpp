#include "avx_vnni_evex.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/unwidened.h"

namespace qconv::native {
namespace {

struct DotEvex {
  using Element = uint8_t;
  static constexpr int kStepsPerTurn = 1;

  template <int kVectors>
  static inline QCONV_INLINE void add(
      __m256i (&sums)[kVectors], const StepValues& values, const __m256i (&weights)[kVectors]) {
    const __m256i broadcast = _mm256_set1_epi32(values);
    unrolled<kVectors>([&](auto v) QCONV_INLINE {
      __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sums[v]) : "x"(broadcast), "x"(weights[v]));
    });
  }
};

}  // namespace

void dense_avx_vnni_evex(const DenseArguments& arguments) {
  dense_unwidened<DotEvex>(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
