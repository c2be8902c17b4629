#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "native/kernels/amx_int8/tile_ops.h"

// The instructions of tile_ops.h in plain C++, for tests alone: the tiles of this thread, with the
// checks that a CPU makes. What would be a fault there ends the process with a message here.

namespace qconv::native {
namespace {

struct EmulatedTiles {
  bool configured = false;
  TileConfiguration configuration;
  uint8_t data[8][16][64];
};

inline thread_local EmulatedTiles emulated;

inline void require(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "AMX fault: %s\n", what);
    std::abort();
  }
}

inline void tile_configure(const TileConfiguration& configuration) {
  require(configuration.palette == 1 && configuration.start_row == 0, "palette or start row");
  for (int i = 0; i < 16; ++i) {
    const bool used = configuration.rows[i] != 0;
    require(used == (configuration.row_bytes[i] != 0), "rows without bytes, or bytes without rows");
    require(configuration.rows[i] <= 16 && configuration.row_bytes[i] <= 64, "tile too large");
    require(i < 8 || !used, "more than 8 tiles");
  }
  emulated.configuration = configuration;
  emulated.configured = true;
  std::memset(emulated.data, 0, sizeof(emulated.data));
}

inline void tile_release() {
  emulated.configured = false;
}

inline void require_tile(int tile) {
  require(emulated.configured, "no tile configuration");
  require(emulated.configuration.rows[tile] != 0, "tile not configured");
}

template <int kTile>
inline void tile_zero() {
  require_tile(kTile);
  std::memset(emulated.data[kTile], 0, sizeof(emulated.data[kTile]));
}

template <int kTile>
inline void tile_load(const void* rows, int64_t stride) {
  tile_zero<kTile>();
  for (int r = 0; r < emulated.configuration.rows[kTile]; ++r) {
    std::memcpy(
        emulated.data[kTile][r], static_cast<const char*>(rows) + r * stride,
        emulated.configuration.row_bytes[kTile]);
  }
}

template <int kTile>
inline void tile_load_streamed(const void* rows, int64_t stride) {
  tile_load<kTile>(rows, stride);
}

template <int kTile>
inline void tile_store(void* rows, int64_t stride) {
  require_tile(kTile);
  for (int r = 0; r < emulated.configuration.rows[kTile]; ++r) {
    std::memcpy(
        static_cast<char*>(rows) + r * stride, emulated.data[kTile][r],
        emulated.configuration.row_bytes[kTile]);
  }
}

template <int kSums, int kActivation, int kWeight>
inline void tile_dot() {
  require_tile(kSums);
  require_tile(kActivation);
  require_tile(kWeight);
  const TileConfiguration& c = emulated.configuration;
  require(
      c.rows[kSums] == c.rows[kActivation] && c.row_bytes[kSums] == c.row_bytes[kWeight] &&
          c.row_bytes[kActivation] == 4 * c.rows[kWeight] && c.row_bytes[kSums] % 4 == 0 &&
          kSums != kActivation && kSums != kWeight && kActivation != kWeight,
      "operands of a dot product do not fit");
  for (int m = 0; m < c.rows[kSums]; ++m) {
    for (int n = 0; n < c.row_bytes[kSums] / 4; ++n) {
      uint32_t sum;  // wraps, as the instruction does
      std::memcpy(&sum, &emulated.data[kSums][m][4 * n], 4);
      for (int k = 0; k < c.row_bytes[kActivation]; ++k) {
        const int8_t weight = static_cast<int8_t>(emulated.data[kWeight][k / 4][4 * n + k % 4]);
        sum += static_cast<uint32_t>(emulated.data[kActivation][m][k] * weight);
      }
      std::memcpy(&emulated.data[kSums][m][4 * n], &sum, 4);
    }
  }
}

}  // namespace
}  // namespace qconv::native
