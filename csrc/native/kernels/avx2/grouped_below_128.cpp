// Grouped convolution with AVX2 for activations of at most 127, with vpmaddubsw, which then doesn't
// saturate (dense_below_128.cpp): tiles of grouped_tile.h. For a run of 3 taps, a step of 4 inputs
// is 24 each of vpmaddubsw (32 multiply-adds), vpmaddwd and vpaddd.
#include "native/kernels/avx2/grouped.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/grouped_tile.h"

namespace qconv::native {
namespace {

struct GroupedDotBelow128 {
  using Element = uint8_t;

  static inline QCONV_INLINE void add(__m256i& sum, __m256i values, __m256i weights) {
    const __m256i pairs = _mm256_maddubs_epi16(values, weights);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace

void grouped_below_128_avx2(const DenseArguments& arguments) {
  grouped_unwidened<GroupedDotBelow128>(arguments);
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
