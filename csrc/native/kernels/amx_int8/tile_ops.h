#pragma once

#include <cstdint>

// The AMX instructions that the kernels use, one function each, with the tile's number as template
// argument. Inline assembly: gcc 12's intrinsics tell the compiler of too little of the memory that
// they read and write. QCONV_EMULATE_AMX replaces them by plain C++ for tests on other machines.

namespace qconv::native {

// What ldtilecfg loads (Intel's Software Developer's Manual, volume 1, 18.2).
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;  // 8 tiles of at most 16 rows of 64 bytes
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

}  // namespace qconv::native

#if defined(QCONV_EMULATE_AMX)

#include "native/kernels/amx_int8/tile_emulation.h"

#else

namespace qconv::native {
namespace {

// The arrays of unknown length in the operands stand for all memory from there on.

inline void tile_configure(const TileConfiguration& configuration) {
  __asm__ volatile("ldtilecfg %0" ::"m"(configuration));
}

inline void tile_release() {
  __asm__ volatile("tilerelease");
}

template <int kTile>
inline __attribute__((always_inline)) void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTile));
}

template <int kTile>
inline __attribute__((always_inline)) void tile_load(const void* rows, int64_t stride) {
  __asm__ volatile(
      "tileloadd (%1,%2,1), %%tmm%c0" ::"i"(kTile), "r"(rows), "r"(stride),
      "m"(*static_cast<const char (*)[]>(rows)));
}

// For rows that the first level of the cache would lose before they are used again.
template <int kTile>
inline __attribute__((always_inline)) void tile_load_streamed(const void* rows, int64_t stride) {
  __asm__ volatile(
      "tileloaddt1 (%1,%2,1), %%tmm%c0" ::"i"(kTile), "r"(rows), "r"(stride),
      "m"(*static_cast<const char (*)[]>(rows)));
}

template <int kTile>
inline __attribute__((always_inline)) void tile_store(void* rows, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c1, (%2,%3,1)"
                   : "=m"(*static_cast<char (*)[]>(rows))
                   : "i"(kTile), "r"(rows), "r"(stride));
}

// sums += activation (uint8) x weight (int8), four products to an int32.
template <int kSums, int kActivation, int kWeight>
inline __attribute__((always_inline)) void tile_dot() {
  __asm__ volatile(
      "tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kActivation), "i"(kWeight));
}

}  // namespace
}  // namespace qconv::native

#endif
