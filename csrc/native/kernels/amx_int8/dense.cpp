// Dense convolution with AMX-INT8.
//
// A tile register holds 16 rows of 64 bytes: 16 pixels' bytes of a k block, a block of packed
// weights (16 channels), or 16 x 16 sums. Of the 8 registers 0-3 hold sums, 4 and 5 activations, 6
// and 7 weights. One tdpbusd is 16384 multiply-adds in 16 cycles. A unit of 2 tiles of pixels by 2
// blocks takes 4 tile loads (8 cycles each) for 4 tdpbusd. Peak: 2048 operations a cycle.
//
// The sums of a unit are stored to a small scratch buffer, and become bytes while the tile
// instructions of the following unit run: these use other ports than the vector instructions do.
#include "native/kernels/amx_int8/dense.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <utility>

#include "native/format/layout.h"
#include "native/kernels/amx_int8/tile_ops.h"

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")

#include "native/kernels/amx_int8/epilogue.h"
#include "native/kernels/unroll.h"

#ifndef QCONV_AMX_DELAY
#define QCONV_AMX_DELAY 1
#endif
#ifndef QCONV_AMX_PREFETCH
#define QCONV_AMX_PREFETCH 0
#endif
#ifndef QCONV_AMX_INTERLEAVE
#define QCONV_AMX_INTERLEAVE 1
#endif
#ifndef QCONV_AMX_NAME
#define QCONV_AMX_NAME dense_amx_int8
#endif

namespace qconv::native {
#ifdef QCONV_AMX_TUNING
extern int amx_forced_plan;
#endif
namespace {

constexpr int kDelay = QCONV_AMX_DELAY;

// Tiles of pixels: `count` of them from `first` on, and where each begins.
struct TileGroup {
  const uint8_t* activation = nullptr;  // of the first one
  int64_t offset[kMaxTiles] = {};       // bytes from there
  int count = 0;
};

// Blocks of weights beside each other. The last block of a call may be narrower: rows of fewer
// bytes, of which 64 are loaded all the same; what follows them ends in columns without a channel.
struct Blocks {
  const int8_t* weight = nullptr;
  int64_t block_stride = 0;
  int64_t row_stride = 64;       // of all but the last
  int64_t last_row_stride = 64;  // of the last
};

template <int kTiles, int kBlocks, int kFirstSums, typename Side>
inline __attribute__((always_inline)) void step(
    const uint8_t* activation, const TileGroup& tiles, int64_t pixel_stride,
    const int8_t* const (&weight)[kBlocks], int64_t last_row_stride, int64_t ahead,
    const Side& side) {
  unrolled<kTiles>([&](auto i) __attribute__((always_inline)) {
    tile_load<4 + (i & 1)>(activation + tiles.offset[i], pixel_stride);
    unrolled<kBlocks>([&](auto j) __attribute__((always_inline)) {
      if constexpr (i == 0) {
        tile_load<6 + (j & 1)>(weight[j], j == kBlocks - 1 ? last_row_stride : 64);
      }
      tile_dot<kFirstSums + i * kBlocks + j, 4 + (i & 1), 6 + (j & 1)>();
#if QCONV_AMX_PREFETCH
      constexpr int kLines = 16 * kBlocks / (kTiles * kBlocks);
      unrolled<kLines>([&](auto l) __attribute__((always_inline)) {
        constexpr int line = (i * kBlocks + j) * kLines + l;
        _mm_prefetch(
            reinterpret_cast<const char*>(weight[line / 16]) + ahead + (line % 16) * 64,
            _MM_HINT_T0);
      });
#else
      (void)ahead;
#endif
      side();
    });
  });
}

// Computes the sums of kTiles x kBlocks, finishes `pending` meanwhile, and stores the sums in rows
// of kRowBlocks * 16.
template <int kTiles, int kBlocks, int kFirstSums, int kRowBlocks, typename Kind>
__attribute__((noinline)) void compute(
    const DenseArguments& arguments, const TileGroup& tiles, const Blocks& blocks,
    const Pending& pending, int32_t* sums) {
  Epilogue<kRowBlocks, Kind> epilogue(arguments, pending);
  const int64_t steps = arguments.taps * arguments.k_blocks;
  const int64_t dots = steps * kTiles * kBlocks;
  const int64_t portions = dots == 0 ? 0 : (epilogue.portions() + dots - 1) / dots;
  unrolled<kTiles * kBlocks>(
      [&](auto i) __attribute__((always_inline)) { tile_zero<kFirstSums + i>(); });
  const int8_t* weight[kBlocks];
  for (int j = 0; j < kBlocks; ++j) {
    weight[j] = blocks.weight + j * blocks.block_stride;
  }
  const int64_t depth = arguments.quads * kQuad;
  const int64_t weight_step = arguments.quads * 64;
  const int64_t last_weight_step = arguments.quads * blocks.last_row_stride;
  const int64_t ahead = QCONV_AMX_PREFETCH * weight_step;
  const int64_t pixel_stride = arguments.pixel_stride;
  for (int64_t t = 0; t < arguments.taps; ++t) {
    const uint8_t* activation = tiles.activation + arguments.tap_offsets[t];
    for (int64_t k = 0; k < arguments.k_blocks; ++k) {
#if QCONV_AMX_INTERLEAVE
      if (epilogue.unfinished()) {
        step<kTiles, kBlocks, kFirstSums>(
            activation, tiles, pixel_stride, weight, blocks.last_row_stride, ahead,
            [&]() __attribute__((always_inline)) {
              for (int64_t i = 0; i < portions && epilogue.unfinished(); ++i) {
                epilogue.finish_portion();
              }
            });
      } else
#endif
      {
        step<kTiles, kBlocks, kFirstSums>(
            activation, tiles, pixel_stride, weight, blocks.last_row_stride, ahead,
            []() __attribute__((always_inline)) {});
      }
      activation += depth;
      for (int j = 0; j < kBlocks; ++j) {
        weight[j] += j == kBlocks - 1 ? last_weight_step : weight_step;
      }
    }
  }
  while (epilogue.unfinished()) {
    epilogue.finish_portion();
  }
  unrolled<kTiles>([&](auto i) __attribute__((always_inline)) {
    unrolled<kBlocks>([&](auto j) __attribute__((always_inline)) {
      tile_store<kFirstSums + i * kBlocks + j>(
          sums + i * kTileRows * 16 * kRowBlocks + 16 * j, 4 * 16 * kRowBlocks);
    });
  });
}

// compute() for at most kTiles x kBlocks of which the numbers are known at run time.
template <int kTiles, int kBlocks, int kFirstSums, int kRowBlocks, typename Kind>
void compute_some(
    int block_count, const DenseArguments& arguments, const TileGroup& tiles, const Blocks& blocks,
    const Pending& pending, int32_t* sums) {
  if constexpr (kTiles > 1) {
    if (tiles.count < kTiles) {
      compute_some<kTiles - 1, kBlocks, kFirstSums, kRowBlocks, Kind>(
          block_count, arguments, tiles, blocks, pending, sums);
      return;
    }
  }
  if constexpr (kBlocks > 1) {
    if (block_count < kBlocks) {
      compute_some<kTiles, kBlocks - 1, kFirstSums, kRowBlocks, Kind>(
          block_count, arguments, tiles, blocks, pending, sums);
      return;
    }
  }
  compute<kTiles, kBlocks, kFirstSums, kRowBlocks, Kind>(arguments, tiles, blocks, pending, sums);
}

class Call {
 public:
  explicit Call(const DenseArguments& arguments) : arguments_(arguments) {
    rows_ = static_cast<int>(std::min<int64_t>(arguments.pixels, kTileRows));
    tiles_ = (arguments.pixels + kTileRows - 1) / kTileRows;
    blocks_ = (arguments.out_channels + kBlockColumns - 1) / kBlockColumns;
    const OutputPlace& output = arguments.output;
    one_row_ = arguments.pixels <= output.row_width ||
        (output.row_pitch == output.row_width &&
         output.row_stride == output.row_pitch * output.pixel_stride);
    TileConfiguration configuration;
    for (int i = 0; i < 8; ++i) {
      const bool is_weight = i >= 6;
      const bool is_activation = i == 4 || i == 5;
      configuration.rows[i] = static_cast<uint8_t>(is_weight ? arguments.quads : rows_);
      configuration.row_bytes[i] = static_cast<uint16_t>(is_activation ? arguments.quads * kQuad : 64);
    }
    tile_configure(configuration);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { tile_release(); }

  int64_t tiles() const { return tiles_; }
  int64_t blocks() const { return blocks_; }

  // Units of kTiles x (kBlocks * kPasses), and smaller ones at the ends. kPasses > 1 takes blocks
  // one after the other that leave for the output together.
  template <int kTiles, int kBlocks, int kPasses, bool kAlternate, typename Kind>
  void run(int64_t tile_begin, int64_t tile_end, int64_t block_begin, int64_t block_end,
           bool blocks_outer) {
    constexpr int kRowBlocks = kBlocks * kPasses;
    constexpr int64_t kUnitSums = kTiles * kTileRows * kRowBlocks * 16;
    alignas(64) int32_t sums[kDelay * kUnitSums];
    Places places[kDelay + 1];
    Pending pending[kDelay];
    int unit = 0;
    int group = 0;
    TileGroup tiles;
    const auto enter_tiles = [&](int64_t tile) {
      group = group == kDelay ? 0 : group + 1;
      tiles = tile_group(tile, std::min<int64_t>(kTiles, tile_end - tile), places[group]);
    };
    const auto run_unit = [&](int64_t block) {
      int32_t* const unit_sums = sums + unit * kUnitSums;
      Pending previous = pending[unit];
      for (int pass = 0; pass < kPasses; ++pass) {
        const int64_t first = block + pass * kBlocks;
        const int count = static_cast<int>(std::min<int64_t>(kBlocks, block_end - first));
        if (count <= 0) {
          break;
        }
        if (kAlternate && unit == 1) {
          compute_some<kTiles, kBlocks, kAlternate ? kTiles * kBlocks : 0, kRowBlocks, Kind>(
              count, arguments_, tiles, blocks_at(first, count), previous, unit_sums);
        } else {
          compute_some<kTiles, kBlocks, 0, kRowBlocks, Kind>(
              count, arguments_, tiles, blocks_at(first, count), previous,
              unit_sums + pass * kBlocks * 16);
        }
        previous = Pending();
      }
      pending[unit] = {unit_sums, &places[group], block * kBlockColumns};
      unit = unit + 1 == kDelay ? 0 : unit + 1;
    };
    if (blocks_outer) {
      for (int64_t block = block_begin; block < block_end; block += kRowBlocks) {
        for (int64_t tile = tile_begin; tile < tile_end; tile += kTiles) {
          enter_tiles(tile);
          run_unit(block);
        }
      }
    } else {
      for (int64_t tile = tile_begin; tile < tile_end; tile += kTiles) {
        enter_tiles(tile);
        for (int64_t block = block_begin; block < block_end; block += kRowBlocks) {
          run_unit(block);
        }
      }
    }
    for (int i = 0; i < kDelay; ++i) {
      Epilogue<kRowBlocks, Kind> epilogue(arguments_, pending[unit]);
      while (epilogue.unfinished()) {
        epilogue.finish_portion();
      }
      unit = unit + 1 == kDelay ? 0 : unit + 1;
    }
  }

 private:
  // Pixel at which a tile begins: the last one is moved back over pixels of the one before it, since
  // a tdpbusd takes 16 cycles however few its rows are.
  int64_t tile_start(int64_t tile) const {
    return std::min(tile * kTileRows, arguments_.pixels - rows_);
  }

  TileGroup tile_group(int64_t tile, int64_t count, Places& places) const {
    TileGroup group;
    group.count = static_cast<int>(count);
    group.activation = static_cast<const uint8_t*>(arguments_.activation) +
        tile_start(tile) * arguments_.pixel_stride;
    for (int i = 0; i < group.count; ++i) {
      group.offset[i] = (tile_start(tile + i) - tile_start(tile)) * arguments_.pixel_stride;
    }
    const int64_t begin = tile * kTileRows;
    const int64_t end = std::min(begin + count * kTileRows, arguments_.pixels);
    const int64_t last = end - rows_;  // where the last tile begins, if this group has it
    const OutputPlace& output = arguments_.output;
    int64_t row = one_row_ ? 0 : begin / output.row_pitch;
    int64_t column = begin - row * output.row_pitch;
    int n = 0;
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const int64_t tile_base = (pixel - begin) / kTileRows * kTileRows;
      const int64_t start = std::min(begin + tile_base, last);
      places.row[n] = static_cast<int32_t>(tile_base + pixel - start);
      places.offset[n] = row * output.row_stride + column * output.pixel_stride;
      places.pixel[n] = pixel;
      ++column;
      if (one_row_) {
        ++n;
        continue;
      }
      n += column <= output.row_width;
      if (column == output.row_pitch) {
        column = 0;
        ++row;
      }
    }
    places.count = n;
    for (int i = 0; i < 3 && n > 0; ++i) {
      places.row[n + i] = places.row[n - 1];
      places.offset[n + i] = places.offset[n - 1];
      places.pixel[n + i] = places.pixel[n - 1];
    }
    return group;
  }

  Blocks blocks_at(int64_t block, int count) const {
    const bool has_last = block + count == blocks_;
    return {
        arguments_.weight + block * arguments_.block_stride, arguments_.block_stride, 64,
        has_last ? arguments_.last_columns * kQuad : 64};
  }

  const DenseArguments& arguments_;
  int rows_;
  int64_t tiles_;
  int64_t blocks_;
  bool one_row_;
};

template <typename Kind>
void run(const DenseArguments& arguments) {
  Call call(arguments);
  const int64_t tiles = call.tiles();
  const int64_t blocks = call.blocks();
  bool blocks_outer = false;
  int plan = 0;
#ifdef QCONV_AMX_TUNING
  if (amx_forced_plan >= 0) {
    blocks_outer = amx_forced_plan & 1;
    plan = amx_forced_plan >> 1;
  }
#endif
  if (blocks == 1) {
    call.run<4, 1, 1, false, Kind>(0, tiles, 0, blocks, false);
  } else if (plan == 0) {
    call.run<2, 2, 1, false, Kind>(0, tiles, 0, blocks, blocks_outer);
  } else if (plan == 1) {
    call.run<4, 1, 2, false, Kind>(0, tiles, 0, blocks, blocks_outer);
  } else if (plan == 2) {
    const int64_t fours = blocks / 4 * 4;
    call.run<1, 4, 1, false, Kind>(0, tiles, 0, fours, blocks_outer);
    call.run<2, 2, 1, false, Kind>(0, tiles, fours, blocks, blocks_outer);
  } else {
    call.run<1, 2, 1, kDelay == 2, Kind>(0, tiles, 0, blocks, blocks_outer);
  }
}

}  // namespace

void QCONV_AMX_NAME(const DenseArguments& arguments) {
  if (arguments.pixels <= 0 || arguments.out_channels <= 0) {
    return;
  }
  const bool corrected = arguments.weight_zero_points != nullptr;
  if (arguments.to_sums) {
    corrected ? run<CorrectedSums>(arguments) : run<Sums>(arguments);
  } else {
    corrected ? run<CorrectedBytes>(arguments) : run<Bytes>(arguments);
  }
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
