// Dense convolution with AVX2 for activations of at most 127, with vpmaddubsw: a pair of products
// is then between 2 * 127 * -128 and 2 * 127 * 127 and doesn't saturate 16 bits. PyTorch's default
// observers keep activations in this range (reduce_range).
//
// Tiles of tile.h, weights and activations as they are. A step is one quad: 2 loads of weights, 6
// broadcasts, 12 each of vpmaddubsw (32 multiply-adds), vpmaddwd (adds neighbours, multiplies with
// 1) and vpaddd. Peak: 3 vector instructions a cycle are 32 multiply-adds, a third more than
// dense.cpp's.
#include "native/kernels/avx2/dense.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/unwidened.h"

namespace qconv::native {
namespace {

alignas(32) constexpr int16_t kOnes[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

struct DotBelow128 : DenseProducts<DotBelow128> {
  using Element = uint8_t;
  static constexpr int kStepsPerTurn = 1;

  // Ones are read from memory: sums, weights, activation and products take all 16 registers.
  template <int kVectors>
  static inline QCONV_INLINE void add(
      __m256i (&sums)[kVectors], const StepValues& values, const __m256i (&weights)[kVectors]) {
    const __m256i broadcast = _mm256_set1_epi32(values);
    unrolled<kVectors>([&](auto v) QCONV_INLINE {
      __m256i products;
      __asm__(
          "vpmaddubsw %3, %2, %1\n\t"
          "vpmaddwd %4, %1, %1\n\t"
          "vpaddd %1, %0, %0"
          : "+x"(sums[v]), "=&x"(products)
          : "x"(broadcast), "x"(weights[v]), "m"(kOnes));
    });
  }
};

}  // namespace

void dense_below_128_avx2(const DenseArguments& arguments) {
  dense_unwidened<DotBelow128>(arguments);
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
