// Packing with AVX512-VNNI: a block of 16 channels at a time.
#include <cstring>

#include "native/format/pack_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

#include "native/format/pack_vectors.h"

namespace qconv::native {
namespace {

struct Avx512Vnni {
  using Vector = __m512i;
  static constexpr int kLanes = 4;

  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector ones() { return _mm512_set1_epi8(1); }
  static Vector load(const void* data) { return _mm512_loadu_si512(data); }
  static void store(void* data, Vector v) { _mm512_storeu_si512(data, v); }
  static void store_lanes(void* data, Vector v, int lanes) {
    _mm512_mask_storeu_epi64(data, static_cast<__mmask8>((1 << 2 * lanes) - 1), v);
  }
  // Lane l: 16 bytes from rows[4 * l] + k on.
  static Vector load_rows(const int8_t* const* rows, int64_t k) {
    const auto row = [&](int i) __attribute__((always_inline)) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + k));
    };
    Vector v = _mm512_castsi128_si512(row(0));
    v = _mm512_inserti32x4(v, row(4), 1);
    v = _mm512_inserti32x4(v, row(8), 2);
    return _mm512_inserti32x4(v, row(12), 3);
  }

  static Vector low8(Vector a, Vector b) { return _mm512_unpacklo_epi8(a, b); }
  static Vector high8(Vector a, Vector b) { return _mm512_unpackhi_epi8(a, b); }
  static Vector low16(Vector a, Vector b) { return _mm512_unpacklo_epi16(a, b); }
  static Vector high16(Vector a, Vector b) { return _mm512_unpackhi_epi16(a, b); }
  static Vector low32(Vector a, Vector b) { return _mm512_unpacklo_epi32(a, b); }
  static Vector high32(Vector a, Vector b) { return _mm512_unpackhi_epi32(a, b); }
  static Vector low64(Vector a, Vector b) { return _mm512_unpacklo_epi64(a, b); }
  static Vector high64(Vector a, Vector b) { return _mm512_unpackhi_epi64(a, b); }

  static Vector both(Vector a, Vector b) { return _mm512_and_si512(a, b); }
  static Vector magnitude(Vector quad) { return _mm512_abs_epi8(quad); }
  static Vector distance(Vector quad, Vector zero_points) {
    const Vector biased = _mm512_xor_si512(quad, _mm512_set1_epi8(-128));
    return _mm512_sub_epi8(
        _mm512_max_epu8(biased, zero_points), _mm512_min_epu8(biased, zero_points));
  }
  // Adds four products of uint8 and int8 to each int32.
  static Vector dot(Vector sums, Vector unsigned_bytes, Vector signed_bytes) {
    return _mm512_dpbusd_epi32(sums, unsigned_bytes, signed_bytes);
  }
  static void add_to(void* sums, Vector v) { store(sums, _mm512_add_epi32(load(sums), v)); }
};

void add_stripes(ChecksumState& state, const uint8_t* data, int64_t stripes) {
  __m512i sums0 = _mm512_loadu_si512(state.sums);
  __m512i sums1 = _mm512_loadu_si512(state.sums + 8);
  __m512i sums_of_sums0 = _mm512_loadu_si512(state.sums_of_sums);
  __m512i sums_of_sums1 = _mm512_loadu_si512(state.sums_of_sums + 8);
  for (int64_t stripe = 0; stripe < stripes; ++stripe) {
    const auto* const words = reinterpret_cast<const __m256i*>(data + stripe * kStripeBytes);
    sums0 = _mm512_add_epi64(sums0, _mm512_cvtepu32_epi64(_mm256_loadu_si256(words)));
    sums1 = _mm512_add_epi64(sums1, _mm512_cvtepu32_epi64(_mm256_loadu_si256(words + 1)));
    sums_of_sums0 = _mm512_add_epi64(sums_of_sums0, sums0);
    sums_of_sums1 = _mm512_add_epi64(sums_of_sums1, sums1);
  }
  _mm512_storeu_si512(state.sums, sums0);
  _mm512_storeu_si512(state.sums + 8, sums1);
  _mm512_storeu_si512(state.sums_of_sums, sums_of_sums0);
  _mm512_storeu_si512(state.sums_of_sums + 8, sums_of_sums1);
}

}  // namespace

constinit const PackKernels kPackKernelsAvx512Vnni{
    .rows = pack_rows<Avx512Vnni>,
    .quads = pack_quads<Avx512Vnni>,
    .taps = pack_taps<Avx512Vnni>,
    .channels = pack_channels<Avx512Vnni>,
    .add_stripes = add_stripes};

}  // namespace qconv::native

#pragma GCC pop_options

#endif
