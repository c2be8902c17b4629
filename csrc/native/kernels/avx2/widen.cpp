// Widening copy with AVX2: 32 numbers a step, 2 loads that widen and 2 stores.
#include "native/kernels/widen.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2")

namespace qconv::native {

void widen_activations_avx2(const uint8_t* from, int64_t count, uint16_t* to) {
  constexpr int64_t kStep = 16;
  const auto widen = [&](int64_t i) __attribute__((always_inline)) {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_cvtepu8_epi16(narrow));
  };
  int64_t i = 0;
  for (; i + 2 * kStep <= count; i += 2 * kStep) {
    widen(i);
    widen(i + kStep);
  }
  if (i + kStep <= count) {
    widen(i);
    i += kStep;
  }
  if (i < count && count >= kStep) {
    widen(count - kStep);  // overlaps what was done, and writes the same there
    return;
  }
  for (; i < count; ++i) {
    to[i] = from[i];
  }
}

bool all_below_128_avx2(const uint8_t* activations, int64_t count) {
  constexpr int64_t kStep = 128;
  const uint8_t* const end = activations + count;
  for (; end - activations >= kStep; activations += kStep) {
    const auto* const vectors = reinterpret_cast<const __m256i*>(activations);
    const __m256i all = _mm256_or_si256(
        _mm256_or_si256(_mm256_loadu_si256(vectors), _mm256_loadu_si256(vectors + 1)),
        _mm256_or_si256(_mm256_loadu_si256(vectors + 2), _mm256_loadu_si256(vectors + 3)));
    if (_mm256_movemask_epi8(all) != 0) {
      return false;
    }
  }
  uint8_t rest = 0;
  for (; activations < end; ++activations) {
    rest |= *activations;
  }
  return rest < 128;
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
