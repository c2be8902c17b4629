// Dense convolution with AVX-VNNI (vpdpbusd on 256-bit vectors, without AVX-512).
//
// Tiles of avx2/tile.h: 6 pixels by 16 output channels. A step is one quad: 2 loads of weights,
// 6 broadcasts and 12 vpdpbusd, 32 multiply-adds each. Peak: 2 vpdpbusd, 64 multiply-adds, a cycle.
#include "native/kernels/avx_vnni/dense.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/unwidened.h"
#include "native/kernels/avx_vnni/dot.h"

namespace qconv::native {
namespace {

struct DotVnni : DenseProducts<DotVnni> {
  using Element = uint8_t;
  static constexpr int kStepsPerTurn = 1;

  template <int kVectors>
  static inline QCONV_INLINE void add(
      __m256i (&sums)[kVectors], const StepValues& values, const __m256i (&weights)[kVectors]) {
    const __m256i broadcast = _mm256_set1_epi32(values);
    unrolled<kVectors>([&](auto v) QCONV_INLINE { dot_vnni(sums[v], broadcast, weights[v]); });
  }
};

}  // namespace

void dense_avx_vnni(const DenseArguments& arguments) {
  dense_unwidened<DotVnni>(arguments);
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
