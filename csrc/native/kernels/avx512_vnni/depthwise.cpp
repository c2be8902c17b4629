// Depthwise convolution with AVX512-VNNI; depthwise_vectors.h says how.
#include "native/kernels/avx512_vnni/depthwise.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "native/kernels/depthwise_narrow.h"
#include "native/kernels/depthwise_plan.h"

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")

#include "native/kernels/depthwise_vectors.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

struct Avx512Vnni {
  using Vector = __m512i;
  static constexpr int64_t kChannels = 64;
  static constexpr int kLaneValues = 4;
  static constexpr int kTileRows = 2;
  static constexpr int kTileColumns = 4;
  static constexpr bool kHas3x3 = true;

  static inline QCONV_INLINE Vector zero() { return _mm512_setzero_si512(); }
  static inline QCONV_INLINE Vector load(const void* from) { return _mm512_loadu_si512(from); }
  static inline QCONV_INLINE void store(void* to, Vector vector) {
    _mm512_storeu_si512(to, vector);
  }

  template <int kParts>
  static inline QCONV_INLINE Vector load_parts(const uint8_t* const (&from)[kParts]) {
    if constexpr (kParts == 1) {
      return load(from[0]);
    } else if constexpr (kParts == 2) {
      return _mm512_inserti64x4(
          _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from[0]))),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from[1])), 1);
    } else {
      // Merging broadcasts: unlike insertions, they don't need the port of the shuffles.
      const auto part = [&](int i) QCONV_INLINE {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from[i]));
      };
      Vector vector = _mm512_castsi128_si512(part(0));
      vector = _mm512_mask_broadcast_i32x4(vector, 0x00f0, part(1));
      vector = _mm512_mask_broadcast_i32x4(vector, 0x0f00, part(2));
      return _mm512_mask_broadcast_i32x4(vector, 0xf000, part(3));
    }
  }

  static inline QCONV_INLINE void store_parts(
      uint8_t* const* to, int64_t offset, Vector vector, int64_t parts) {
    if (parts == 2) {
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(to[0] + offset), _mm512_castsi512_si256(vector));
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(to[1] + offset), _mm512_extracti64x4_epi64(vector, 1));
    } else {
      unrolled<4>([&](auto part) QCONV_INLINE {
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(to[part] + offset),
            _mm512_extracti32x4_epi32(vector, part.value));
      });
    }
  }

  static inline QCONV_INLINE Vector flip(Vector bytes, Vector bits) {
    return _mm512_xor_si512(bytes, bits);
  }

  template <int kLane>
  static inline QCONV_INLINE void store_lane(uint8_t* to, Vector vector) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_extracti32x4_epi32(vector, kLane));
  }

  static inline QCONV_INLINE void interleave(Vector (&sources)[4], Vector (&bundle)[4]) {
    const Vector low01 = _mm512_unpacklo_epi8(sources[0], sources[1]);
    const Vector high01 = _mm512_unpackhi_epi8(sources[0], sources[1]);
    const Vector low23 = _mm512_unpacklo_epi8(sources[2], sources[3]);
    const Vector high23 = _mm512_unpackhi_epi8(sources[2], sources[3]);
    bundle[0] = _mm512_unpacklo_epi16(low01, low23);
    bundle[1] = _mm512_unpackhi_epi16(low01, low23);
    bundle[2] = _mm512_unpacklo_epi16(high01, high23);
    bundle[3] = _mm512_unpackhi_epi16(high01, high23);
  }
  static inline QCONV_INLINE void interleave_weights(Vector (&sources)[4], Vector (&bundle)[4]) {
    interleave(sources, bundle);
  }

  // As an intrinsic, gcc 12 copies the accumulator before every instruction.
  static inline QCONV_INLINE void dot(Vector& sum, Vector bundle, Vector weight) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bundle), "v"(weight));
  }
  // With weights at a fixed distance from a pointer: given addresses, gcc keeps every one of them
  // in memory of its own.
  template <int64_t kOffset>
  static inline QCONV_INLINE void dot_memory(Vector& sum, Vector bundle, const uint8_t* weights) {
    __asm__("vpdpbusd %c3(%2), %1, %0"
            : "+v"(sum)
            : "v"(bundle), "r"(weights), "i"(kOffset),
              "m"(*reinterpret_cast<const Vector*>(weights)));
  }
  // Loads that don't become operands of several instructions.
  static inline QCONV_INLINE Vector load_once(const void* from) {
    Vector vector = load(from);
    __asm__("" : "+v"(vector));
    return vector;
  }
  static inline QCONV_INLINE Vector subtract_product(Vector sums, Vector a, Vector b) {
    return _mm512_sub_epi32(sums, _mm512_mullo_epi32(a, b));
  }

  static inline QCONV_INLINE Vector round(Vector sums, Vector multiplier, Vector offset) {
    return _mm512_cvtps_epi32(_mm512_fmadd_ps(
        _mm512_cvtepi32_ps(sums), _mm512_castsi512_ps(multiplier), _mm512_castsi512_ps(offset)));
  }
  static inline QCONV_INLINE Vector words(Vector a, Vector b, Vector shift) {
    return _mm512_adds_epi16(_mm512_packs_epi32(a, b), shift);
  }
  static inline QCONV_INLINE Vector bytes(Vector a, Vector b) { return _mm512_packus_epi16(a, b); }
  static inline QCONV_INLINE Vector clamp(Vector bytes, Vector range, Vector low) {
    return _mm512_add_epi8(_mm512_min_epu8(bytes, range), low);
  }
};

#undef QCONV_INLINE

}  // namespace

void depthwise_avx512_vnni(const DepthwiseArguments& arguments) {
  depthwise<Avx512Vnni>(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
