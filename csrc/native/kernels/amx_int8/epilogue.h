#pragma once

// From int32 sums in a scratch buffer to the output. Included below dense.cpp's target pragma.

namespace qconv::native {
namespace {

constexpr int kTileRows = 16;
constexpr int kMaxTiles = 4;  // of pixels, in a unit

// Pixels that follow each other both in the scratch buffer and in the output.
struct Segment {
  int64_t row;     // of the scratch buffer
  int64_t pixel;   // of the run
  int64_t offset;  // elements from OutputPlace::data
  int64_t count;
};

// Where the pixels of up to kMaxTiles tiles go, those that are not stored left out.
struct Places {
  int64_t portions = 0;  // of an Epilogue
  int64_t segments = 0;
  Segment segment[kMaxTiles * kTileRows];
};

// What an epilogue does: first subtract what weight zero points contribute, then store.
template <Store kStores, bool kSubtracts>
struct EpilogueKind {
  static constexpr bool kSums = kStores == Store::kSums;
  static constexpr bool kAdded = kStores == Store::kBytesAdded;
  static constexpr bool kCorrected = kSubtracts;
};

// Requantization's constants in vectors.
struct RequantizationVectors {
  explicit RequantizationVectors(const Requantization& requantization)
      : shift(_mm512_set1_epi16(
            static_cast<int16_t>(requantization.zero_point - requantization.low))),
        range(_mm512_set1_epi8(static_cast<char>(requantization.high - requantization.low))),
        low(_mm512_set1_epi8(static_cast<char>(requantization.low))),
        order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
        addend_flip(_mm_set1_epi8(static_cast<char>(requantization.addend_flip))),
        addend_multiplier(_mm512_set1_ps(requantization.addend_multiplier)),
        clamps(requantization.low != 0 || requantization.high != 255) {}

  __m512i shift;
  __m512i range;
  __m512i low;
  __m512i order;
  __m128i addend_flip;
  __m512 addend_multiplier;
  bool clamps;  // more than packing to uint8 does
};

// Sums that wait for their epilogue: rows of kBlocks * 16 of them.
struct Pending {
  const int32_t* sums = nullptr;
  const Places* places = nullptr;
  int64_t channel = 0;  // of the call
};

// Finishes one Pending in portions of four vectors of 16 sums: 4 / kBlocks pixels of kBlocks
// blocks. A portion is small enough to fit between two tile instructions, whose unit would else
// wait for it.
//
// Per portion: 4 loads, 4 each of convert, fma, convert (to and from float32), 2 packs and 2 adds
// of 16 bit, 1 pack to bytes, 1 min, 1 add, 1 permutation and the stores: some 20 operations for
// the two vector ports of an Intel server, 10 cycles at best (13 measured) for 64 bytes. An addend
// takes 4 each of load, exclusive or, widening, convert and fma more.
template <int kBlocks, typename Kind>
class Epilogue {
  static constexpr int kVectors = 4;
  static constexpr int64_t kRowSums = 16 * kBlocks;
  using Element = std::conditional_t<Kind::kSums, int32_t, uint8_t>;

 public:
  static constexpr int kPixels = kVectors / kBlocks;  // of a portion

  QCONV_INLINE Epilogue(
      const DenseArguments& arguments, const RequantizationVectors& vectors, const Pending& pending)
      : arguments_(arguments), pending_(pending) {
    if (pending.places == nullptr || pending.places->segments == 0) {
      return;
    }
    next_ = pending.places->segment;
    end_ = next_ + pending.places->segments;
    const int64_t channels = arguments.out_channels - pending.channel;
    mask_ = channels >= kRowSums ? ~uint64_t{0} : (uint64_t{1} << channels) - 1;
    if constexpr (!Kind::kSums) {
      for (int b = 0; b < kBlocks; ++b) {
        // A block beyond the last one has nothing to read: its columns are computed in vain.
        const int64_t channel = pending.channel + (channels > 16 * b ? 16 * b : 0);
        multiplier_[b] = _mm512_loadu_ps(arguments.requantization.multiplier + channel);
        offset_[b] = _mm512_loadu_ps(arguments.requantization.offset + channel);
      }
      shift_ = vectors.shift;
      range_ = vectors.range;
      low_ = vectors.low;
      order_ = vectors.order;
      clamps_ = vectors.clamps;
    }
    if constexpr (Kind::kAdded) {
      addend_flip_ = vectors.addend_flip;
      addend_multiplier_ = vectors.addend_multiplier;
      addend_distance_ = addend_distance(arguments.output.data, arguments.addend);
    }
    enter_segment();
  }

  QCONV_INLINE bool unfinished() const { return left_ > 0; }

  int64_t portions() const { return pending_.places == nullptr ? 0 : pending_.places->portions; }

  QCONV_INLINE void finish_portion() {
    __m512i sums[kVectors];
    unrolled<kVectors>([&](auto v) QCONV_INLINE { sums[v] = load(v); });
    if constexpr (Kind::kSums) {
      unrolled<kVectors>([&](auto v) QCONV_INLINE {
        _mm512_mask_storeu_epi32(
            place(Index<v / kBlocks>()) + 16 * (v % kBlocks),
            static_cast<__mmask16>(mask_ >> 16 * (v % kBlocks)), sums[v]);
      });
    } else {
      unrolled<kVectors>([&](auto v) QCONV_INLINE {
        __m512 values = _mm512_fmadd_ps(
            _mm512_cvtepi32_ps(sums[v]), multiplier_[v % kBlocks], offset_[v % kBlocks]);
        if constexpr (Kind::kAdded) {
          values = add_addend(v, values);
        }
        sums[v] = _mm512_cvtps_epi32(values);
      });
      const __m512i left = _mm512_adds_epi16(_mm512_packs_epi32(sums[0], sums[1]), shift_);
      const __m512i right = _mm512_adds_epi16(_mm512_packs_epi32(sums[2], sums[3]), shift_);
      __m512i bytes = _mm512_packus_epi16(left, right);
      if (clamps_) {
        bytes = _mm512_add_epi8(_mm512_min_epu8(bytes, range_), low_);
      }
      // Packing works within lanes of 128 bit: lane i has columns 4i .. 4i + 3 of all four.
      store(_mm512_permutexvar_epi32(order_, bytes));
    }
    left_ -= kPixels;
    sums_ += kPixels * kRowSums;
    output_ += kPixels * arguments_.output.pixel_stride;
    if constexpr (Kind::kCorrected) {
      pixel_ += kPixels;
    }
    if (left_ <= 0 && next_ != end_) {
      enter_segment();
    }
  }

 private:
  QCONV_INLINE void enter_segment() {
    left_ = next_->count;
    sums_ = pending_.sums + next_->row * kRowSums;
    output_ = static_cast<Element*>(arguments_.output.data) + next_->offset + pending_.channel;
    pixel_ = next_->pixel;
    ++next_;
  }

  // Pixel of a portion; the segment's last one again where it ends within the portion.
  template <typename Pixel>
  QCONV_INLINE int64_t within(Pixel pixel) const {
    if constexpr (pixel == 0) {
      return 0;
    }
    return left_ > pixel ? int64_t{pixel} : left_ - 1;
  }

  template <typename Vector>
  QCONV_INLINE __m512i load(Vector) const {
    constexpr int block = Vector() % kBlocks;
    const int64_t pixel = within(Index<Vector() / kBlocks>());
    const __m512i sums = _mm512_load_si512(sums_ + pixel * kRowSums + 16 * block);
    if constexpr (!Kind::kCorrected) {
      return sums;
    }
    const int64_t channel = pending_.channel +
        (pending_.channel + 16 * block < arguments_.out_channels ? 16 * block : 0);
    return _mm512_sub_epi32(
        sums,
        _mm512_mullo_epi32(
            _mm512_loadu_si512(arguments_.weight_zero_points + channel),
            _mm512_set1_epi32(arguments_.activation_sums[pixel_ + pixel])));
  }

  // A portion's addends are read before any of its bytes is stored: they may be the same memory.
  template <typename Vector>
  QCONV_INLINE __m512 add_addend(Vector, __m512 values) const {
    constexpr int kFirst = 16 * (Vector() % kBlocks);
    const auto* const addend = reinterpret_cast<const uint8_t*>(
        reinterpret_cast<intptr_t>(place(Index<Vector() / kBlocks>()) + kFirst) + addend_distance_);
    const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>(mask_ >> kFirst), addend);
    const __m512i numbers = _mm512_cvtepu8_epi32(_mm_xor_si128(bytes, addend_flip_));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(numbers), addend_multiplier_, values);
  }

  template <typename Pixel>
  QCONV_INLINE Element* place(Pixel pixel) const {
    return output_ + within(pixel) * arguments_.output.pixel_stride;
  }

  QCONV_INLINE void store(__m512i bytes) const {
    unrolled<kPixels>([&](auto p) QCONV_INLINE {
      uint8_t* const output = place(p);
      if constexpr (kBlocks == 4) {
        _mm512_mask_storeu_epi8(output, mask_, bytes);
      } else if constexpr (kBlocks == 2) {
        const __m256i part =
            p == 0 ? _mm512_castsi512_si256(bytes) : _mm512_extracti64x4_epi64(bytes, 1);
        _mm256_mask_storeu_epi8(output, static_cast<__mmask32>(mask_), part);
      } else {
        _mm_mask_storeu_epi8(
            output, static_cast<__mmask16>(mask_), _mm512_extracti32x4_epi32(bytes, p));
      }
    });
  }

  const DenseArguments& arguments_;
  const Pending pending_;
  const Segment* next_ = nullptr;
  const Segment* end_ = nullptr;
  int64_t left_ = 0;  // pixels of the segment
  const int32_t* sums_ = nullptr;
  Element* output_ = nullptr;
  int64_t pixel_ = 0;
  bool clamps_ = false;
  __mmask64 mask_ = 0;
  __m512 multiplier_[kBlocks];
  __m512 offset_[kBlocks];
  __m512i shift_;
  __m512i range_;
  __m512i low_;
  __m512i order_;
  __m128i addend_flip_;
  __m512 addend_multiplier_;
  intptr_t addend_distance_ = 0;
};

}  // namespace
}  // namespace qconv::native
