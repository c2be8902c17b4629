// Packing with AVX2: half a block of 8 channels at a time.
#include <cstring>

#include "native/format/pack_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2")

#include "native/format/pack_vectors.h"

namespace qconv::native {
namespace {

struct Avx2 {
  using Vector = __m256i;
  static constexpr int kLanes = 2;

  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector ones() { return _mm256_set1_epi8(1); }
  static Vector load(const void* data) {
    return _mm256_loadu_si256(static_cast<const Vector*>(data));
  }
  static void store(void* data, Vector v) { _mm256_storeu_si256(static_cast<Vector*>(data), v); }
  static void store_lanes(void* data, Vector v, int lanes) {
    if (lanes == kLanes) {
      store(data, v);
    } else {
      _mm_storeu_si128(static_cast<__m128i*>(data), _mm256_castsi256_si128(v));
    }
  }
  // Lane l: 16 bytes from rows[4 * l] + k on.
  static Vector load_rows(const int8_t* const* rows, int64_t k) {
    return _mm256_loadu2_m128i(
        reinterpret_cast<const __m128i*>(rows[4] + k),
        reinterpret_cast<const __m128i*>(rows[0] + k));
  }

  static Vector low8(Vector a, Vector b) { return _mm256_unpacklo_epi8(a, b); }
  static Vector high8(Vector a, Vector b) { return _mm256_unpackhi_epi8(a, b); }
  static Vector low16(Vector a, Vector b) { return _mm256_unpacklo_epi16(a, b); }
  static Vector high16(Vector a, Vector b) { return _mm256_unpackhi_epi16(a, b); }
  static Vector low32(Vector a, Vector b) { return _mm256_unpacklo_epi32(a, b); }
  static Vector high32(Vector a, Vector b) { return _mm256_unpackhi_epi32(a, b); }
  static Vector low64(Vector a, Vector b) { return _mm256_unpacklo_epi64(a, b); }
  static Vector high64(Vector a, Vector b) { return _mm256_unpackhi_epi64(a, b); }

  static Vector both(Vector a, Vector b) { return _mm256_and_si256(a, b); }
  static Vector magnitude(Vector quad) { return _mm256_abs_epi8(quad); }
  static Vector distance(Vector quad, Vector zero_points) {
    const Vector biased = _mm256_xor_si256(quad, _mm256_set1_epi8(-128));
    return _mm256_sub_epi8(
        _mm256_max_epu8(biased, zero_points), _mm256_min_epu8(biased, zero_points));
  }
  // Adds four products of uint8 and int8 to each int32. One of the two is all ones: the sum of two
  // products doesn't leave int16.
  static Vector dot(Vector sums, Vector unsigned_bytes, Vector signed_bytes) {
    const Vector pairs = _mm256_maddubs_epi16(unsigned_bytes, signed_bytes);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static void add_to(void* sums, Vector v) { store(sums, _mm256_add_epi32(load(sums), v)); }
};

void add_stripes(ChecksumState& state, const uint8_t* data, int64_t stripes) {
  constexpr int kVectors = 4;  // of 4 lanes each
  __m256i sums[kVectors];
  __m256i sums_of_sums[kVectors];
  for (int i = 0; i < kVectors; ++i) {
    sums[i] = Avx2::load(state.sums + 4 * i);
    sums_of_sums[i] = Avx2::load(state.sums_of_sums + 4 * i);
  }
  for (int64_t stripe = 0; stripe < stripes; ++stripe) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      const auto* const words = reinterpret_cast<const __m128i*>(data + stripe * kStripeBytes) + i;
      sums[i] = _mm256_add_epi64(sums[i], _mm256_cvtepu32_epi64(_mm_loadu_si128(words)));
      sums_of_sums[i] = _mm256_add_epi64(sums_of_sums[i], sums[i]);
    }
  }
  for (int i = 0; i < kVectors; ++i) {
    Avx2::store(state.sums + 4 * i, sums[i]);
    Avx2::store(state.sums_of_sums + 4 * i, sums_of_sums[i]);
  }
}

}  // namespace

constinit const PackKernels kPackKernelsAvx2{
    .rows = pack_rows<Avx2>,
    .quads = pack_quads<Avx2>,
    .taps = pack_taps<Avx2>,
    .channels = pack_channels<Avx2>,
    .add_stripes = add_stripes};

}  // namespace qconv::native

#pragma GCC pop_options

#endif
