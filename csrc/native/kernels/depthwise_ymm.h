// What the 256-bit instruction sets have in common, see depthwise_vectors.h: included below the
// target pragma and that header.

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

struct Ymm {
  using Vector = __m256i;
  static constexpr int64_t kChannels = 32;
  static constexpr int kTileRows = 1;
  static constexpr int kTileColumns = 4;
  static constexpr bool kHas3x3 = false;

  static inline QCONV_INLINE Vector zero() { return _mm256_setzero_si256(); }
  static inline QCONV_INLINE Vector load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  static inline QCONV_INLINE void store(void* to, Vector vector) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), vector);
  }

  template <int kParts>
  static inline QCONV_INLINE Vector load_parts(const uint8_t* const (&from)[kParts]) {
    if constexpr (kParts == 1) {
      return load(from[0]);
    } else {
      static_assert(kParts == 2);
      return _mm256_inserti128_si256(
          _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from[0]))),
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(from[1])), 1);
    }
  }

  static inline QCONV_INLINE void store_parts(
      uint8_t* const* to, int64_t offset, Vector vector, int64_t /*parts*/) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to[0] + offset), _mm256_castsi256_si128(vector));
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to[1] + offset), _mm256_extracti128_si256(vector, 1));
  }

  static inline QCONV_INLINE Vector flip(Vector bytes, Vector bits) {
    return _mm256_xor_si256(bytes, bits);
  }

  template <int kLane>
  static inline QCONV_INLINE void store_lane(uint8_t* to, Vector vector) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_extracti128_si256(vector, kLane));
  }

  static inline QCONV_INLINE Vector subtract_product(Vector sums, Vector a, Vector b) {
    return _mm256_sub_epi32(sums, _mm256_mullo_epi32(a, b));
  }
  static inline QCONV_INLINE Vector round(Vector sums, Vector multiplier, Vector offset) {
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(
        _mm256_cvtepi32_ps(sums), _mm256_castsi256_ps(multiplier), _mm256_castsi256_ps(offset)));
  }
  static inline QCONV_INLINE Vector words(Vector a, Vector b, Vector shift) {
    return _mm256_adds_epi16(_mm256_packs_epi32(a, b), shift);
  }
  static inline QCONV_INLINE Vector bytes(Vector a, Vector b) { return _mm256_packus_epi16(a, b); }
  static inline QCONV_INLINE Vector clamp(Vector bytes, Vector range, Vector low) {
    return _mm256_add_epi8(_mm256_min_epu8(bytes, range), low);
  }
};

// Lanes of four bytes, for instructions that multiply unsigned by signed bytes. Dot::add does so.
template <typename Dot>
struct YmmQuads : Ymm {
  static constexpr int kLaneValues = 4;

  static inline QCONV_INLINE void interleave(Vector (&sources)[4], Vector (&bundle)[4]) {
    const Vector low01 = _mm256_unpacklo_epi8(sources[0], sources[1]);
    const Vector high01 = _mm256_unpackhi_epi8(sources[0], sources[1]);
    const Vector low23 = _mm256_unpacklo_epi8(sources[2], sources[3]);
    const Vector high23 = _mm256_unpackhi_epi8(sources[2], sources[3]);
    bundle[0] = _mm256_unpacklo_epi16(low01, low23);
    bundle[1] = _mm256_unpackhi_epi16(low01, low23);
    bundle[2] = _mm256_unpacklo_epi16(high01, high23);
    bundle[3] = _mm256_unpackhi_epi16(high01, high23);
  }
  static inline QCONV_INLINE void interleave_weights(Vector (&sources)[4], Vector (&bundle)[4]) {
    interleave(sources, bundle);
  }
  static inline QCONV_INLINE void dot(Vector& sum, Vector bundle, Vector weight) {
    Dot::add(sum, bundle, weight);
  }
};

// Lanes of two words.
struct YmmPairs : Ymm {
  static constexpr int kLaneValues = 2;

  static inline QCONV_INLINE void interleave(Vector (&sources)[2], Vector (&bundle)[4]) {
    const Vector low = _mm256_unpacklo_epi8(sources[0], sources[1]);
    const Vector high = _mm256_unpackhi_epi8(sources[0], sources[1]);
    bundle[0] = _mm256_unpacklo_epi8(low, zero());
    bundle[1] = _mm256_unpackhi_epi8(low, zero());
    bundle[2] = _mm256_unpacklo_epi8(high, zero());
    bundle[3] = _mm256_unpackhi_epi8(high, zero());
  }
  static inline QCONV_INLINE void interleave_weights(Vector (&sources)[2], Vector (&bundle)[4]) {
    const Vector low = _mm256_unpacklo_epi8(sources[0], sources[1]);
    const Vector high = _mm256_unpackhi_epi8(sources[0], sources[1]);
    const Vector low_signs = _mm256_cmpgt_epi8(zero(), low);
    const Vector high_signs = _mm256_cmpgt_epi8(zero(), high);
    bundle[0] = _mm256_unpacklo_epi8(low, low_signs);
    bundle[1] = _mm256_unpackhi_epi8(low, low_signs);
    bundle[2] = _mm256_unpacklo_epi8(high, high_signs);
    bundle[3] = _mm256_unpackhi_epi8(high, high_signs);
  }
  static inline QCONV_INLINE void dot(Vector& sum, Vector bundle, Vector weight) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(bundle, weight));
  }
};

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
