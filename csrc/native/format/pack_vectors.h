// Packing with vectors, whatever their width. Kernel files include this header below their target
// pragma, after defining nothing but including <immintrin.h>, <cstring> and pack_kernels.h; it is
// never compiled on its own.
//
// A vector has lanes of 16 bytes. Lane l of vector j of a block holds channel 4 l + j, so that
// unpacking instructions, which work within lanes, put four neighbouring channels side by side, and
// lanes follow each other in memory. `Vectors` has as many lanes as its registers: 4 take all 16
// channels of a block at once, 2 take half of them.
namespace qconv::native {
namespace {

#define QCONV_INLINE inline __attribute__((always_inline))

// What is added up over all quads of some channels, and what it takes to write them.
// kWhole: all of these channels exist, and so do their columns.
template <typename Vectors, bool kWhole, bool kZeroPoints>
struct QuadWriter {
  using Vector = typename Vectors::Vector;
  static constexpr int kChannels = 4 * Vectors::kLanes;

  Vector weights = Vectors::zero();
  Vector magnitudes = Vectors::zero();
  Vector zero_points = Vectors::zero();  // plus 128, as uint8
  Vector present = Vectors::zero();      // all bits where a channel exists
  int lanes = Vectors::kLanes;           // that have columns in memory

  QCONV_INLINE QuadWriter(const BlockSource& block, int first) {
    if constexpr (kZeroPoints) {
      uint8_t bytes[kChannels * kQuad];
      for (int i = 0; i < kChannels * kQuad; ++i) {
        bytes[i] = static_cast<uint8_t>(block.zero_points[first + i / kQuad] + 128);
      }
      zero_points = Vectors::load(bytes);
    }
    if constexpr (!kWhole) {
      uint32_t words[kChannels];
      for (int i = 0; i < kChannels; ++i) {
        words[i] = first + i < block.channels ? ~0U : 0U;
      }
      present = Vectors::load(words);
      const auto columns = static_cast<int>(block.columns) - first;
      lanes = columns >= kChannels ? Vectors::kLanes : columns / 4;
    }
  }

  QCONV_INLINE void write(int8_t* place, Vector quad) {
    if constexpr (kWhole) {
      Vectors::store(place, quad);
    } else {
      quad = Vectors::both(quad, present);
      Vectors::store_lanes(place, quad, lanes);
    }
    weights = Vectors::dot(weights, Vectors::ones(), quad);
    const Vector magnitude =
        kZeroPoints ? Vectors::distance(quad, zero_points) : Vectors::magnitude(quad);
    magnitudes = Vectors::dot(magnitudes, magnitude, Vectors::ones());
  }

  QCONV_INLINE void add_to(BlockSums& sums, int first) const {
    Vectors::add_to(sums.weights + first, weights);
    Vectors::add_to(sums.magnitudes + first, magnitudes);
  }
};

// Four vectors of four 32-bit elements per lane, transposed within lanes.
template <typename Vectors>
QCONV_INLINE void transpose_4x4(typename Vectors::Vector (&v)[4]) {
  const auto low01 = Vectors::low32(v[0], v[1]);
  const auto low23 = Vectors::low32(v[2], v[3]);
  const auto high01 = Vectors::high32(v[0], v[1]);
  const auto high23 = Vectors::high32(v[2], v[3]);
  v[0] = Vectors::low64(low01, low23);
  v[1] = Vectors::high64(low01, low23);
  v[2] = Vectors::low64(high01, high23);
  v[3] = Vectors::high64(high01, high23);
}

template <typename Vectors, bool kWhole, bool kZeroPoints>
void pack_rows_of(
    const BlockSource& block, int64_t first_weight, int64_t depth, bool padded, int8_t* out,
    BlockSums& sums) {
  using Writer = QuadWriter<Vectors, kWhole, kZeroPoints>;
  const int64_t quad_bytes = block.columns * kQuad;
  for (int first = 0; first < block.columns; first += Writer::kChannels) {
    Writer writer(block, first);
    const int8_t* rows[Writer::kChannels];
    for (int i = 0; i < Writer::kChannels; ++i) {
      rows[i] = block.rows[first + i] + first_weight;
    }
    int8_t* place = out + first * kQuad;
    typename Vectors::Vector quads[4];
    int64_t k = 0;
    for (; k + 16 <= depth; k += 16) {
      for (int j = 0; j < 4; ++j) {
        quads[j] = Vectors::load_rows(rows + j, k);
      }
      transpose_4x4<Vectors>(quads);
      for (int i = 0; i < 4; ++i) {
        writer.write(place, quads[i]);
        place += quad_bytes;
      }
    }
    if (k < depth) {
      int8_t last[Writer::kChannels][16] = {};
      if (!padded) {
        for (int i = 0; i < Writer::kChannels; ++i) {
          std::memcpy(last[i], rows[i] + k, static_cast<size_t>(depth - k));
          rows[i] = last[i] - k;
        }
      }
      for (int j = 0; j < 4; ++j) {
        quads[j] = Vectors::load_rows(rows + j, k);
      }
      transpose_4x4<Vectors>(quads);
      for (int i = 0; i < 4 && k + i * kQuad < depth; ++i) {
        writer.write(place, quads[i]);
        place += quad_bytes;
      }
    }
    writer.add_to(sums, first);
  }
}

template <typename Vectors, bool kWhole, bool kZeroPoints>
void pack_quads_of(
    const BlockSource& block, const int8_t* from, int64_t count, int8_t* out, BlockSums& sums) {
  using Writer = QuadWriter<Vectors, kWhole, kZeroPoints>;
  for (int first = 0; first < block.columns; first += Writer::kChannels) {
    Writer writer(block, first);
    for (int64_t quad = 0; quad < count; ++quad) {
      writer.write(
          out + (quad * block.columns + first) * kQuad,
          Vectors::load(from + (quad * kBlockColumns + first) * kQuad));
    }
    writer.add_to(sums, first);
  }
}

// Up to 4 * kParts taps, from `tap` on, of the quad of input channels that starts at rows[] + k.
template <int kParts, typename Vectors, typename Writer>
QCONV_INLINE void pack_taps_of_quad(
    const int8_t* const* rows, int64_t k, int64_t taps, int64_t tap, const int64_t* places,
    int8_t* out, Writer& writer) {
  // parts[i][j]: vector j of taps 4 i .. 4 i + 3
  typename Vectors::Vector parts[kParts][4];
  for (int j = 0; j < 4; ++j) {
    const auto row0 = Vectors::load_rows(rows + j, k + tap);
    const auto row1 = Vectors::load_rows(rows + j, k + tap + taps);
    const auto row2 = Vectors::load_rows(rows + j, k + tap + 2 * taps);
    const auto row3 = Vectors::load_rows(rows + j, k + tap + 3 * taps);
    const auto low01 = Vectors::low8(row0, row1);
    const auto low23 = Vectors::low8(row2, row3);
    parts[0][j] = Vectors::low16(low01, low23);
    if constexpr (kParts > 1) {
      parts[1][j] = Vectors::high16(low01, low23);
    }
    if constexpr (kParts > 2) {
      const auto high01 = Vectors::high8(row0, row1);
      const auto high23 = Vectors::high8(row2, row3);
      parts[2][j] = Vectors::low16(high01, high23);
      if constexpr (kParts > 3) {
        parts[3][j] = Vectors::high16(high01, high23);
      }
    }
  }
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) {
    transpose_4x4<Vectors>(parts[part]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const int64_t t = tap + 4 * part + i;
      if (t < taps) {
        writer.write(out + places[t], parts[part][i]);
      }
    }
  }
}

template <typename Vectors, bool kWhole, bool kZeroPoints>
void pack_taps_of(
    const BlockSource& block, int64_t taps, int64_t begin, int64_t end, const int64_t* places,
    int8_t* out, BlockSums& sums) {
  using Writer = QuadWriter<Vectors, kWhole, kZeroPoints>;
  const int64_t quad_bytes = block.columns * kQuad;
  for (int first = 0; first < block.columns; first += Writer::kChannels) {
    Writer writer(block, first);
    const int8_t* const* const rows = block.rows + first;
    for (int64_t quad = begin; quad < end; ++quad) {
      const int64_t k = quad * kQuad * taps;
      int8_t* const place = out + quad * quad_bytes + first * kQuad;
      int64_t tap = 0;
      for (; tap + 12 < taps; tap += 16) {
        pack_taps_of_quad<4, Vectors>(rows, k, taps, tap, places, place, writer);
      }
      if (tap + 8 < taps) {
        pack_taps_of_quad<3, Vectors>(rows, k, taps, tap, places, place, writer);
      } else if (tap + 4 < taps) {
        pack_taps_of_quad<2, Vectors>(rows, k, taps, tap, places, place, writer);
      } else if (tap < taps) {
        pack_taps_of_quad<1, Vectors>(rows, k, taps, tap, places, place, writer);
      }
    }
    writer.add_to(sums, first);
  }
}

template <typename Vectors>
void pack_rows(
    const BlockSource& block, int64_t first, int64_t depth, bool padded, int8_t* out,
    BlockSums& sums) {
  const bool whole = block.channels == kBlockColumns;
  const auto pack = block.zero_points == nullptr
      ? (whole ? pack_rows_of<Vectors, true, false> : pack_rows_of<Vectors, false, false>)
      : (whole ? pack_rows_of<Vectors, true, true> : pack_rows_of<Vectors, false, true>);
  pack(block, first, depth, padded, out, sums);
}

template <typename Vectors>
void pack_quads(
    const BlockSource& block, const int8_t* from, int64_t count, int8_t* out, BlockSums& sums) {
  const bool whole = block.channels == kBlockColumns;
  const auto pack = block.zero_points == nullptr
      ? (whole ? pack_quads_of<Vectors, true, false> : pack_quads_of<Vectors, false, false>)
      : (whole ? pack_quads_of<Vectors, true, true> : pack_quads_of<Vectors, false, true>);
  pack(block, from, count, out, sums);
}

template <typename Vectors>
void pack_taps(
    const BlockSource& block, int64_t taps, int64_t begin, int64_t end, const int64_t* places,
    int8_t* out, BlockSums& sums) {
  const bool whole = block.channels == kBlockColumns;
  const auto pack = block.zero_points == nullptr
      ? (whole ? pack_taps_of<Vectors, true, false> : pack_taps_of<Vectors, false, false>)
      : (whole ? pack_taps_of<Vectors, true, true> : pack_taps_of<Vectors, false, true>);
  pack(block, taps, begin, end, places, out, sums);
}

// 16 rows of 16 bytes, transposed: four perfect shuffles of the rows with each other.
QCONV_INLINE void transpose_16x16(__m128i (&rows)[16]) {
  for (int round = 0; round < 4; ++round) {
    __m128i shuffled[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      shuffled[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
      shuffled[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      rows[i] = shuffled[i];
    }
  }
}

template <typename Vectors>
void pack_channels(
    const BlockSource& block, int64_t taps, int64_t stride, int8_t* out, BlockSums& sums) {
  const __m128i indices = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m128i present = _mm_cmpgt_epi8(_mm_set1_epi8(static_cast<char>(block.channels)), indices);
  __m128i zero_points = _mm_set1_epi8(-128);  // plus 128, as uint8
  if (block.zero_points != nullptr) {
    zero_points = _mm_xor_si128(
        zero_points, _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.zero_points)));
  }
  __m256i weights = _mm256_setzero_si256();  // int16: at most kMaxDepthwiseTaps bytes each
  __m256i magnitudes = _mm256_setzero_si256();
  for (int64_t first = 0; first < taps; first += 16) {
    __m128i rows[kBlockColumns];
#pragma GCC unroll 16
    for (int i = 0; i < kBlockColumns; ++i) {
      rows[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.rows[i] + first));
    }
    transpose_16x16(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kBlockColumns; ++i) {
      if (first + i < taps) {
        const __m128i tap = _mm_and_si128(rows[i], present);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + (first + i) * stride), tap);
        const __m128i biased = _mm_xor_si128(tap, _mm_set1_epi8(-128));
        const __m128i magnitude =
            _mm_sub_epi8(_mm_max_epu8(biased, zero_points), _mm_min_epu8(biased, zero_points));
        weights = _mm256_add_epi16(weights, _mm256_cvtepi8_epi16(tap));
        magnitudes = _mm256_add_epi16(magnitudes, _mm256_cvtepu8_epi16(magnitude));
      }
    }
  }
  const auto add_to = [](void* sums8, __m256i values) __attribute__((always_inline)) {
    auto* const place = static_cast<__m256i*>(sums8);
    _mm256_storeu_si256(place, _mm256_add_epi32(_mm256_loadu_si256(place), values));
  };
  add_to(sums.weights, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(weights)));
  add_to(sums.weights + 8, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(weights, 1)));
  add_to(sums.magnitudes, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(magnitudes)));
  add_to(sums.magnitudes + 8, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(magnitudes, 1)));
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
