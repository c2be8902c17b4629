#pragma once

#include <immintrin.h>

#include <cstdint>

#include "native/kernels/dense.h"

// From int32 sums in a scratch buffer to bytes of the output. Included below dense.cpp's target
// pragma.

namespace qconv::native {
namespace {

constexpr int kTileRows = 16;
constexpr int kMaxTiles = 4;  // of pixels, in a unit

// Where the pixels of up to kMaxTiles tiles go, those that are not stored left out. The last one is
// repeated to a multiple of 4: storing it again does no harm.
struct Places {
  static constexpr int kCapacity = kMaxTiles * kTileRows + 4;
  int32_t count = 0;
  int32_t row[kCapacity];      // in the tiles, counted through
  int64_t offset[kCapacity];   // elements from OutputPlace::data
  int64_t pixel[kCapacity];    // of the run
};

// Which epilogue a call needs.
struct Bytes {
  static constexpr bool kSums = false;
  static constexpr bool kCorrected = false;
};
struct CorrectedBytes {  // weight zero points
  static constexpr bool kSums = false;
  static constexpr bool kCorrected = true;
};
struct Sums {
  static constexpr bool kSums = true;
  static constexpr bool kCorrected = false;
};
struct CorrectedSums {
  static constexpr bool kSums = true;
  static constexpr bool kCorrected = true;
};

// Sums that wait for their epilogue: rows of kBlocks * 16 of them.
struct Pending {
  const int32_t* sums = nullptr;
  const Places* places = nullptr;
  int64_t channel = 0;  // of the call
};

// Finishes one Pending, four vectors of 16 sums at a time: 4 / kBlocks pixels of kBlocks blocks.
// Small enough a portion to fit between two tile instructions, whose unit would else wait.
//
// Per portion: 4 loads, 4 each of convert, fma, convert (to and from float32), 2 packs and 2 adds
// of 16 bit, 1 pack to bytes, 1 max, 1 min, 1 permutation, stores: 19 operations for the two
// vector ports of an Intel server, some 10 cycles for 64 bytes.
template <int kBlocks, typename Kind>
class Epilogue {
  static constexpr int kVectors = 4;
  static constexpr int kPixels = kVectors / kBlocks;

 public:
  __attribute__((always_inline)) Epilogue(const DenseArguments& arguments, const Pending& pending)
      : arguments_(arguments), pending_(pending) {
    count_ = pending.places == nullptr ? 0 : pending.places->count;
    if (count_ == 0) {
      return;
    }
    const int64_t channels = arguments.out_channels - pending.channel;
    mask_ = channels >= 16 * kBlocks ? ~uint64_t{0} : (uint64_t{1} << channels) - 1;
    if constexpr (Kind::kSums) {
      return;
    }
    const Requantization& requantization = arguments.requantization;
    for (int b = 0; b < kBlocks; ++b) {
      // A block beyond the last one has nothing to read: its columns are computed in vain.
      const int64_t channel = pending.channel + (channels > 16 * b ? 16 * b : 0);
      multiplier_[b] = _mm512_loadu_ps(requantization.multiplier + channel);
      offset_[b] = _mm512_loadu_ps(requantization.offset + channel);
    }
    zero_point_ = _mm512_set1_epi16(static_cast<int16_t>(requantization.zero_point));
    low_ = _mm512_set1_epi8(static_cast<char>(requantization.low));
    high_ = _mm512_set1_epi8(static_cast<char>(requantization.high));
    order_ = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  }

  __attribute__((always_inline)) bool unfinished() const { return next_ < count_; }

  int portions() const { return (count_ + kPixels - 1) / kPixels; }

  __attribute__((always_inline)) void finish_portion() {
    __m512i sums[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[v] = load(next_ + v / kBlocks, v % kBlocks);
    }
    if constexpr (Kind::kSums) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        int32_t* const output = static_cast<int32_t*>(arguments_.output.data) +
            pending_.places->offset[next_ + v / kBlocks] + pending_.channel + 16 * (v % kBlocks);
        _mm512_mask_storeu_epi32(output, static_cast<__mmask16>(mask_ >> 16 * (v % kBlocks)), sums[v]);
      }
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[v] = _mm512_cvtps_epi32(_mm512_fmadd_ps(
            _mm512_cvtepi32_ps(sums[v]), multiplier_[v % kBlocks], offset_[v % kBlocks]));
      }
      const __m512i low_half =
          _mm512_adds_epi16(_mm512_packs_epi32(sums[0], sums[1]), zero_point_);
      const __m512i high_half =
          _mm512_adds_epi16(_mm512_packs_epi32(sums[2], sums[3]), zero_point_);
      const __m512i bytes = _mm512_min_epu8(
          _mm512_max_epu8(_mm512_packus_epi16(low_half, high_half), low_), high_);
      // Packing works within lanes of 128 bit: lane i has columns 4i .. 4i + 3 of all four.
      store(_mm512_permutexvar_epi32(order_, bytes));
    }
    next_ += kPixels;
  }

 private:
  __attribute__((always_inline)) __m512i load(int index, int block) const {
    const Places& places = *pending_.places;
    const __m512i sums = _mm512_load_si512(
        pending_.sums + int64_t{places.row[index]} * (16 * kBlocks) + 16 * block);
    if constexpr (!Kind::kCorrected) {
      return sums;
    }
    const int64_t channel =
        pending_.channel + 16 * block < arguments_.out_channels ? pending_.channel + 16 * block : 0;
    return _mm512_sub_epi32(
        sums, _mm512_mullo_epi32(
                  _mm512_loadu_si512(arguments_.weight_zero_points + channel),
                  _mm512_set1_epi32(arguments_.activation_sums[places.pixel[index]])));
  }

  __attribute__((always_inline)) uint8_t* place(int pixel) const {
    return static_cast<uint8_t*>(arguments_.output.data) +
        pending_.places->offset[next_ + pixel] + pending_.channel;
  }

  __attribute__((always_inline)) void store(__m512i bytes) const {
    if constexpr (kBlocks == 4) {
      _mm512_mask_storeu_epi8(place(0), mask_, bytes);
    } else if constexpr (kBlocks == 2) {
      const __mmask32 mask = static_cast<__mmask32>(mask_);
      _mm256_mask_storeu_epi8(place(0), mask, _mm512_castsi512_si256(bytes));
      _mm256_mask_storeu_epi8(place(1), mask, _mm512_extracti64x4_epi64(bytes, 1));
    } else {
      const __mmask16 mask = static_cast<__mmask16>(mask_);
      _mm_mask_storeu_epi8(place(0), mask, _mm512_castsi512_si128(bytes));
      _mm_mask_storeu_epi8(place(1), mask, _mm512_extracti32x4_epi32(bytes, 1));
      _mm_mask_storeu_epi8(place(2), mask, _mm512_extracti32x4_epi32(bytes, 2));
      _mm_mask_storeu_epi8(place(3), mask, _mm512_extracti32x4_epi32(bytes, 3));
    }
  }

  const DenseArguments& arguments_;
  const Pending pending_;
  int count_ = 0;
  int next_ = 0;
  __mmask64 mask_ = 0;
  __m512 multiplier_[kBlocks];
  __m512 offset_[kBlocks];
  __m512i zero_point_;
  __m512i low_;
  __m512i high_;
  __m512i order_;
};

}  // namespace
}  // namespace qconv::native
