#include "avx_vnni_evex.h"

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx_vnni/unwidened.h"

namespace qconv::native {
namespace {

struct DotEvex {
  using Element = uint8_t;

  static inline QCONV_INLINE void add(__m256i& sums, __m256i activation, __m256i weight) {
    __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(activation), "x"(weight));
  }
};

}  // namespace

void dense_avx_vnni_evex(const DenseArguments& arguments) {
  dense_unwidened<DotEvex>(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options
