// Dense convolution with AMX-INT8.
//
// A tile register holds 16 rows of 64 bytes: 16 pixels' bytes of a k block, a block of packed
// weights (16 channels), or 16 x 16 sums. Of the 8 registers 0-3 hold sums, 4 and 5 activations, 6
// and 7 weights. One tdpbusd is 16384 multiply-adds in 16 cycles. A unit of 2 tiles of pixels by 2
// blocks takes 4 tile loads (10 to 12 cycles each, from the nearest cache) for 4 tdpbusd. Peak:
// 2048 operations a cycle.
//
// Three units are under way at a time, since the tile instructions use other ports than the vector
// instructions do, and since a tile's sums can be stored while other tiles are computed:
//   unit n      multiplies
//   unit n - 1  leaves the tiles for a scratch buffer, each just before n's first tdpbusd to it
//   unit n - 2  becomes bytes, a portion after each tdpbusd of n
#include "native/kernels/amx_int8/dense.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <type_traits>
#include <utility>

#include "native/format/layout.h"
#include "native/kernels/amx_int8/tile_ops.h"

// gcc 12 takes the undefined operands in its own intrinsics for mistakes (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")

#define QCONV_INLINE __attribute__((always_inline))

#include "native/kernels/unroll.h"
#include "native/kernels/with_store.h"

#include "native/kernels/amx_int8/epilogue.h"

namespace qconv::native {
namespace {

constexpr int64_t kTileBytes = 1024;

// std::min, compiled for these instruction sets, could become the copy that all code calls.
int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// Of the caches of a core with AMX (48 KB and 2 MB), what one operand may take. Weights beyond the
// first of these are loaded with a hint not to keep them there, so that they don't drive the pixels
// out: 1024 to 256 channels at 14 x 14 then take 29 us instead of 42 (Emerald Rapids, 2.3 GHz).
constexpr int64_t kHalfOfFirstLevel = 28 * 1024;
constexpr int64_t kMostOfSecondLevel = 1536 * 1024;
constexpr int64_t kTallSpan = 72 * 1024;

// Loading tiles ahead makes long sums 1 to 5 % faster on a core of their own and 15 % where another
// hardware thread shares the core; shorter ones, whose steps also finish the sums before, get up to
// 5 % slower (Emerald Rapids).
constexpr int64_t kStepsToLoadAhead = 16;

int64_t weight_bytes(const DenseArguments& arguments) {
  const int64_t blocks = (arguments.out_channels + kBlockColumns - 1) / kBlockColumns;
  return arguments.block_stride * blocks;
}

// Tiles of pixels beside each other, and the way from one step of the inner loop to the next.
struct TileGroup {
  const uint8_t* activation = nullptr;  // of the first pixel
  int64_t row_stride = 0;               // bytes between pixels
  int64_t offset[kMaxTiles] = {};       // bytes from the first tile to each
  int count = 0;
  int64_t taps = 0;
  const int64_t* tap_offsets = nullptr;
  int64_t k_blocks = 0;
  int64_t k_stride = 0;  // bytes between k blocks
};

// Blocks of weights beside each other. The last block of a call may be narrower: rows of fewer
// bytes, of which 64 are loaded all the same; what follows them ends in columns without a channel.
struct Blocks {
  const int8_t* weight = nullptr;
  int64_t stride = 0;
  int64_t last_row_stride = 64;
  int count = 0;
  bool streamed = false;                // past the first level of the cache
  const int32_t* first_sums = nullptr;  // null: 0
};

template <int kTile>
inline QCONV_INLINE void load_weight(const int8_t* weight, int64_t row_stride, bool streamed) {
  if (streamed) {
    tile_load_streamed<kTile>(weight, row_stride);
  } else {
    tile_load<kTile>(weight, row_stride);
  }
}

// One step: every tile of pixels times every block. before(i) runs ahead of the tdpbusd to
// tile i of the sums, after() behind each. kLoadsAhead: tiles are loaded as far as there are
// registers before the first tdpbusd, and not each where it is used first.
template <bool kLoadsAhead, int kTiles, int kBlocks, typename Before, typename After>
inline QCONV_INLINE void step(
    const uint8_t* activation, const TileGroup& tiles, const Blocks& blocks,
    const int8_t* const (&weight)[kBlocks], const Before& before, const After& after) {
  const auto load_activation = [&](auto i) QCONV_INLINE {
    tile_load<4 + i % 2>(activation + tiles.offset[i], tiles.row_stride);
  };
  const auto load_weights = [&](auto j) QCONV_INLINE {
    load_weight<6 + j>(weight[j], j == kBlocks - 1 ? blocks.last_row_stride : 64, blocks.streamed);
  };
  constexpr int kAhead = !kLoadsAhead ? 0 : kTiles > 1 ? 2 : 1;
  if constexpr (kLoadsAhead) {
    load_activation(Index<0>());
    unrolled<kBlocks>(load_weights);
    if constexpr (kTiles > 1) {
      load_activation(Index<1>());
    }
  }
  unrolled<kTiles>([&](auto i) QCONV_INLINE {
    if constexpr (i >= kAhead) {
      load_activation(i);
    }
    unrolled<kBlocks>([&](auto j) QCONV_INLINE {
      if constexpr (i == 0 && !kLoadsAhead) {
        load_weights(j);
      }
      constexpr int kSums = i * kBlocks + j;
      before(Index<kSums>());
      tile_dot<kSums, 4 + i % 2, 6 + j>();
      after(Index<kSums>());
    });
  });
}

// Stores tile kIndex of the sums of kBlocks blocks beside each other into rows of kRowBlocks.
template <int kIndex, int kBlocks, int kRowBlocks>
inline QCONV_INLINE void store_sums(int32_t* sums) {
  constexpr int64_t kRow = kBlockColumns * kRowBlocks;
  tile_store<kIndex>(
      sums + kIndex / kBlocks * kTileRows * kRow + kIndex % kBlocks * kBlockColumns,
      kRow * static_cast<int64_t>(sizeof(int32_t)));
}

// Sets tile kIndex of the sums of kBlocks blocks to what they begin with, the same in every row.
template <int kIndex, int kBlocks>
inline QCONV_INLINE void begin_sums(const Blocks& blocks) {
  if (blocks.first_sums == nullptr) {
    tile_zero<kIndex>();
  } else {
    tile_load<kIndex>(blocks.first_sums + kIndex % kBlocks * kBlockColumns, 0);
  }
}

// Multiplies kTiles x kBlocks; the sums stay in the tiles. Meanwhile stores the sums that are there
// to `previous` (if not null), and finishes `pending`.
template <bool kLoadsAhead, int kTiles, int kBlocks, int kRowBlocks, typename Kind>
__attribute__((noinline)) void multiply(
    const DenseArguments& arguments, const RequantizationVectors& vectors, const TileGroup& tiles,
    const Blocks& blocks, int32_t* previous, const Pending& pending) {
  constexpr int kDots = kTiles * kBlocks;
  Epilogue<kRowBlocks, Kind> epilogue(arguments, vectors, pending);
  const int64_t steps = tiles.taps * tiles.k_blocks;
  const int64_t portions = (epilogue.portions() + steps - 1) / steps;  // per step
  const int8_t* weight[kBlocks];
  for (int j = 0; j < kBlocks; ++j) {
    weight[j] = blocks.weight + j * blocks.stride;
  }
  const auto after = [&](auto index) QCONV_INLINE {
    for (int64_t i = index; i < portions && epilogue.unfinished(); i += kDots) {
      epilogue.finish_portion();
    }
  };
  const int64_t last_row_stride = blocks.last_row_stride;
  const auto begin_tap = [&](int64_t tap) QCONV_INLINE {
    if (arguments.tap_places != nullptr) {
      const int64_t row = arguments.tap_places[tap] * arguments.k_blocks * arguments.quads;
      for (int j = 0; j < kBlocks; ++j) {
        weight[j] =
            blocks.weight + j * blocks.stride + row * (j == kBlocks - 1 ? last_row_stride : 64);
      }
    }
  };
  const auto advance_weights = [&]() QCONV_INLINE {
    for (int j = 0; j < kBlocks; ++j) {
      weight[j] += arguments.quads * (j == kBlocks - 1 ? last_row_stride : 64);
    }
  };

  begin_tap(0);
  step<kLoadsAhead, kTiles, kBlocks>(
      tiles.activation + tiles.tap_offsets[0], tiles, blocks, weight,
      [&](auto index) QCONV_INLINE {
        if (previous != nullptr) {
          store_sums<index, kBlocks, kRowBlocks>(previous);
        }
        begin_sums<index, kBlocks>(blocks);
      },
      after);
  advance_weights();
  int64_t k = 1;
  for (int64_t t = 0; t < tiles.taps; ++t, k = 0) {
    if (k == 0) {
      begin_tap(t);
    }
    const uint8_t* activation = tiles.activation + tiles.tap_offsets[t] + k * tiles.k_stride;
    for (; k < tiles.k_blocks; ++k) {
      step<kLoadsAhead, kTiles, kBlocks>(
          activation, tiles, blocks, weight, [](auto) QCONV_INLINE {}, after);
      activation += tiles.k_stride;
      advance_weights();
    }
  }
  while (epilogue.unfinished()) {
    epilogue.finish_portion();
  }
}

// Numbers of tiles and blocks that are known at run time only, as types: calls body(Index<tiles>(),
// Index<blocks>()).
template <int kTiles, int kBlocks, typename Body>
inline void with_shape(int tiles, int blocks, const Body& body) {
  if constexpr (kTiles > 1) {
    if (tiles < kTiles) {
      with_shape<kTiles - 1, kBlocks>(tiles, blocks, body);
      return;
    }
  }
  if constexpr (kBlocks > 1) {
    if (blocks < kBlocks) {
      with_shape<kTiles, kBlocks - 1>(tiles, blocks, body);
      return;
    }
  }
  body(Index<kTiles>(), Index<kBlocks>());
}

// A call: its tiles are configured as long as it lives.
class Call {
 public:
  explicit Call(const DenseArguments& arguments)
      : arguments_(arguments), vectors_(arguments.requantization) {
    rows_ = smaller(arguments.pixels, kTileRows);
    tiles_ = (arguments.pixels + kTileRows - 1) / kTileRows;
    blocks_ = (arguments.out_channels + kBlockColumns - 1) / kBlockColumns;
    const OutputPlace& output = arguments.output;
    one_row_ = arguments.pixels <= output.row_width ||
        (output.row_pitch == output.row_width &&
         output.row_stride == output.row_pitch * output.pixel_stride);
    streams_weights_ = weight_bytes(arguments) > kHalfOfFirstLevel;
    TileConfiguration configuration;
    for (int i = 0; i < 8; ++i) {
      const bool is_activation = i == 4 || i == 5;
      const bool is_weight = i >= 6;
      configuration.rows[i] = static_cast<uint8_t>(is_weight ? arguments.quads : rows_);
      configuration.row_bytes[i] =
          static_cast<uint16_t>(is_activation ? arguments.quads * kQuad : 64);
    }
    tile_configure(configuration);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { tile_release(); }

  int64_t blocks() const { return blocks_; }
  int64_t steps() const { return arguments_.taps * arguments_.k_blocks; }

  // A row that lies in two cache lines takes a tile load 4 cycles instead of one: where most of
  // them do, tiles that are multiplied with more than one unit's blocks are copied first: as if all
  // taps were one.
  bool should_pack(int tiles, int blocks) const {
    if (blocks_ <= blocks || steps() * tiles * kTileBytes > kPackedBytes ||
        arguments_.tap_places != nullptr) {
      return false;
    }
    const int64_t first = reinterpret_cast<intptr_t>(arguments_.activation);
    const int64_t depth = arguments_.quads * kQuad;
    int crossing = 0;
    for (int64_t row = 0; row < kTileRows; ++row) {
      crossing += (first + row * arguments_.pixel_stride) % 64 + depth > 64;
    }
    return 3 * crossing > 2 * kTileRows;
  }

  // Tiles x blocks, in units of kTiles x (kBlocks * kPasses) and smaller ones at the ends. kPasses
  // > 1 multiplies blocks one after the other that leave for the output together.
  template <int kTiles, int kBlocks, int kPasses, typename Kind>
  void run(bool blocks_outer) {
    constexpr int kRowBlocks = kBlocks * kPasses;
    alignas(64) int32_t sums[2][kTiles * kTileRows * kRowBlocks * kBlockColumns];
    alignas(64) uint8_t packed[kPackedBytes];
    Places places[3];
    Pending pending[2];
    const bool packing = !blocks_outer && should_pack(kTiles, kRowBlocks);
    int unit = 0;
    int group = 0;
    int32_t* previous = nullptr;
    int previous_tiles = 0;
    int previous_blocks = 0;
    TileGroup tiles;
    const auto store_previous = [&]() {
      if (previous != nullptr) {
        with_shape<kTiles, kBlocks>(previous_tiles, previous_blocks, [&](auto t, auto b) {
          unrolled<t * b>([&](auto i) QCONV_INLINE { store_sums<i, b, kRowBlocks>(previous); });
        });
        previous = nullptr;
      }
    };
    const auto enter_tiles = [&](int64_t tile) {
      group = group == 2 ? 0 : group + 1;
      const int64_t count = smaller(kTiles, tiles_ - tile);
      place(tile, count, Epilogue<kRowBlocks, Kind>::kPixels, places[group]);
      tiles = tile_group(tile, count);
      if (packing) {
        pack(tiles, packed);
      }
    };
    const auto run_unit = [&](int64_t block) {
      Pending waiting = pending[unit];
      for (int pass = 0; pass < kPasses && block + pass * kBlocks < blocks_; ++pass) {
        const int64_t first = block + pass * kBlocks;
        const Blocks blocks = blocks_at(first, smaller(kBlocks, blocks_ - first));
        if (tiles.count != previous_tiles || blocks.count != previous_blocks) {
          store_previous();
          previous_tiles = tiles.count;
          previous_blocks = blocks.count;
        }
        with_shape<kTiles, kBlocks>(tiles.count, blocks.count, [&](auto t, auto b) {
          const auto function = steps() < kStepsToLoadAhead
              ? multiply<false, t, b, kRowBlocks, Kind>
              : multiply<true, t, b, kRowBlocks, Kind>;
          function(arguments_, vectors_, tiles, blocks, previous, waiting);
        });
        waiting = Pending();
        previous = sums[unit] + pass * kBlocks * kBlockColumns;
      }
      pending[unit] = {sums[unit], &places[group], block * kBlockColumns};
      unit = 1 - unit;
    };
    if (blocks_outer) {
      for (int64_t block = 0; block < blocks_; block += kRowBlocks) {
        for (int64_t tile = 0; tile < tiles_; tile += kTiles) {
          enter_tiles(tile);
          run_unit(block);
        }
      }
    } else {
      for (int64_t tile = 0; tile < tiles_; tile += kTiles) {
        enter_tiles(tile);
        for (int64_t block = 0; block < blocks_; block += kRowBlocks) {
          run_unit(block);
        }
      }
    }
    for (int i = 0; i < 2; ++i) {
      Epilogue<kRowBlocks, Kind> epilogue(arguments_, vectors_, pending[unit]);
      while (epilogue.unfinished()) {
        epilogue.finish_portion();
      }
      store_previous();
      unit = 1 - unit;
    }
  }

 private:
  static constexpr int64_t kPackedBytes = 16 * kTileBytes;

  // Pixel at which a tile begins: the last one is moved back over pixels of the one before it,
  // since a tdpbusd takes 16 cycles however few its rows are.
  int64_t tile_start(int64_t tile) const {
    return smaller(tile * kTileRows, arguments_.pixels - rows_);
  }

  TileGroup tile_group(int64_t tile, int64_t count) const {
    TileGroup group;
    group.count = static_cast<int>(count);
    group.row_stride = arguments_.pixel_stride;
    group.activation = static_cast<const uint8_t*>(arguments_.activation) +
        tile_start(tile) * arguments_.pixel_stride;
    for (int i = 0; i < group.count; ++i) {
      group.offset[i] = (tile_start(tile + i) - tile_start(tile)) * arguments_.pixel_stride;
    }
    group.taps = arguments_.taps;
    group.tap_offsets = arguments_.tap_offsets;
    group.k_blocks = arguments_.k_blocks;
    group.k_stride = arguments_.quads * kQuad;
    return group;
  }

  // Copies what the steps of a group read, and lets the group read the copy.
  void pack(TileGroup& group, uint8_t* packed) const {
    static constexpr int64_t kNoOffset[1] = {0};
    const int64_t depth = arguments_.quads * kQuad;
    const __mmask64 mask = ~uint64_t{0} >> (64 - depth);
    uint8_t* tile = packed;
    for (int64_t t = 0; t < arguments_.taps; ++t) {
      for (int64_t k = 0; k < arguments_.k_blocks; ++k) {
        for (int i = 0; i < group.count; ++i) {
          const uint8_t* const from =
              group.activation + group.offset[i] + arguments_.tap_offsets[t] + k * depth;
          for (int64_t row = 0; row < rows_; ++row) {
            _mm512_store_si512(
                tile + row * 64,
                _mm512_maskz_loadu_epi8(mask, from + row * arguments_.pixel_stride));
          }
          tile += kTileBytes;
        }
      }
    }
    group.activation = packed;
    group.row_stride = 64;
    for (int i = 0; i < group.count; ++i) {
      group.offset[i] = i * kTileBytes;
    }
    group.taps = 1;
    group.tap_offsets = kNoOffset;
    group.k_blocks = steps();
    group.k_stride = group.count * kTileBytes;
  }

  // Fills `places` for `count` tiles from `tile` on; `portion`: pixels of a portion.
  void place(int64_t tile, int64_t count, int64_t portion, Places& places) const {
    const int64_t begin = tile * kTileRows;
    const int64_t end = smaller(begin + count * kTileRows, arguments_.pixels);
    // A tile that was moved back begins with pixels that the one before it has too.
    const int64_t last = (tile + count - 1) * kTileRows;
    const int64_t moved = last - tile_start(tile + count - 1);
    const int64_t middle = moved == 0 ? end : last;
    places.portions = 0;
    places.segments = 0;
    place_pixels(begin, middle, 0, portion, places);
    place_pixels(middle, end, middle - begin + moved, portion, places);
  }

  // Pixels [begin, end) of the run, from `row` of the scratch buffer on.
  void place_pixels(
      int64_t begin, int64_t end, int64_t row, int64_t portion, Places& places) const {
    const OutputPlace& output = arguments_.output;
    if (one_row_) {
      add_segment({row, begin, begin * output.pixel_stride, end - begin}, portion, places);
      return;
    }
    int64_t output_row = begin / output.row_pitch;
    int64_t column = begin - output_row * output.row_pitch;
    while (begin < end) {
      const int64_t in_row = smaller(output.row_pitch - column, end - begin);
      const int64_t stored = smaller(output.row_width - column, in_row);
      const int64_t offset = output_row * output.row_stride + column * output.pixel_stride;
      add_segment({row, begin, offset, stored}, portion, places);
      begin += in_row;
      row += in_row;
      column = 0;
      ++output_row;
    }
  }

  static void add_segment(const Segment& segment, int64_t portion, Places& places) {
    if (segment.count > 0) {
      places.segment[places.segments++] = segment;
      places.portions += (segment.count + portion - 1) / portion;
    }
  }

  Blocks blocks_at(int64_t block, int64_t count) const {
    const bool has_last = block + count == blocks_;
    return {
        arguments_.weight + block * arguments_.block_stride,
        arguments_.block_stride,
        has_last ? arguments_.last_columns * kQuad : 64,
        static_cast<int>(count),
        streams_weights_,
        arguments_.first_sums == nullptr ? nullptr : arguments_.first_sums + block * kBlockColumns};
  }

  const DenseArguments& arguments_;
  const RequantizationVectors vectors_;
  int64_t rows_;
  int64_t tiles_;
  int64_t blocks_;
  bool one_row_;
  bool streams_weights_;
};

enum class Order { kPixelsOuter, kBlocksOuter, kTallPixelsOuter };

// The order of units. Activations lie in the first or second level of the cache, having just been
// written. Where the weights fit the second level too, pixels are the outer loop: each is read from
// afar once, and the weights flow past the first level, which keeps the unit's pixels, at 32 of the
// 48 bytes a cycle that it can take. Weights that come from beyond should come once: for few pixels
// in one unit of 4 tiles, else by going over all pixels with each pair of blocks.
Order choose_order(const DenseArguments& arguments, bool packs) {
  if (packs || weight_bytes(arguments) <= kMostOfSecondLevel) {
    return Order::kPixelsOuter;
  }
  int64_t first = arguments.tap_offsets[0];
  int64_t last = first;
  for (int64_t t = 1; t < arguments.taps; ++t) {
    first = smaller(first, arguments.tap_offsets[t]);
    last = -smaller(-last, -arguments.tap_offsets[t]);
  }
  const int64_t span = last - first + arguments.pixels * arguments.pixel_stride;
  return arguments.pixels <= kMaxTiles * kTileRows && span <= kTallSpan ? Order::kTallPixelsOuter
                                                                        : Order::kBlocksOuter;
}

template <typename Kind>
void run(const DenseArguments& arguments) {
  Call call(arguments);
  if constexpr (!Kind::kSums && !Kind::kCorrected) {
    if (call.blocks() == 1) {
      call.template run<4, 1, 1, Kind>(false);
      return;
    }
  }
  const Order order = choose_order(arguments, call.should_pack(2, 2));
  if constexpr (!Kind::kSums && !Kind::kCorrected) {
    if (order == Order::kTallPixelsOuter) {
      call.template run<4, 1, 2, Kind>(false);
      return;
    }
  }
  call.template run<2, 2, 1, Kind>(order == Order::kBlocksOuter);
}

template <Store kStore>
void run_storing(const DenseArguments& arguments) {
  if (arguments.weight_zero_points != nullptr) {
    run<EpilogueKind<kStore, true>>(arguments);
  } else {
    run<EpilogueKind<kStore, false>>(arguments);
  }
}

}  // namespace

void dense_amx_int8(const DenseArguments& arguments) {
  if (arguments.pixels <= 0 || arguments.out_channels <= 0) {
    return;
  }
  with_store(arguments.store, [&](auto store) __attribute__((always_inline)) {
    run_storing<store>(arguments);
  });
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
