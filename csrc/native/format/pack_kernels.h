#pragma once

#include <cstdint>

#include "native/cpu/instruction_set.h"
#include "native/format/checksum.h"
#include "native/format/layout.h"

namespace qconv::native {

// Up to 16 output channels that share a block of packed weights.
struct BlockSource {
  // Weights of each channel; from `channels` on, any row that can be read: it is packed as zeros.
  const int8_t* rows[kBlockColumns];
  int64_t channels = kBlockColumns;
  int64_t columns = kBlockColumns;      // in packed memory: 4, 8, 12 or 16
  const int8_t* zero_points = nullptr;  // one per channel, 0 from `channels` on; null: all are 0
};

// Per channel, over all values written including the zeros that pad a quad.
struct BlockSums {
  int32_t weights[kBlockColumns] = {};
  uint32_t magnitudes[kBlockColumns] = {};  // of |weight - zero point|
};

// What packing spends its time in, once per instruction set and with the same results on each.
struct PackKernels {
  // Packs `depth` consecutive weights of each row from rows[r] + first on as ceil(depth / 4)
  // quads. `padded`: rows can be read, and hold zeros, up to a multiple of 16.
  void (*rows)(
      const BlockSource& block, int64_t first, int64_t depth, bool padded, int8_t* out,
      BlockSums& sums);

  // Packs `count` quads of the block's rows, which are brought together as [quad][16 channels][4].
  void (*quads)(
      const BlockSource& block, const int8_t* from, int64_t count, int8_t* out, BlockSums& sums);

  // Packs rows in which input channels are `taps` apart and the taps of a channel are neighbours:
  // quads [begin, end) of all taps, that of tap t and channels 4 q .. 4 q + 3 to
  // out + places[t] + q * 4 * columns. Reads rows up to 15 bytes beyond the last of these weights.
  // Null: not on this instruction set.
  void (*taps)(
      const BlockSource& block, int64_t taps, int64_t begin, int64_t end, const int64_t* places,
      int8_t* out, BlockSums& sums);

  // Packs rows of `taps` <= kMaxDepthwiseTaps consecutive weights as 16 channels of each tap, tap t
  // to out + t * stride. Reads rows to a multiple of 16. Null: not on this instruction set.
  void (*channels)(
      const BlockSource& block, int64_t taps, int64_t stride, int8_t* out, BlockSums& sums);

  void (*add_stripes)(ChecksumState& state, const uint8_t* data, int64_t stripes);
};

// So that sums of bytes fit 16 bits.
constexpr int64_t kMaxDepthwiseTaps = 128;

const PackKernels& pack_kernels(InstructionSet set);

extern const PackKernels kPackKernelsScalar;
#if defined(__x86_64__)
extern const PackKernels kPackKernelsAvx2;
extern const PackKernels kPackKernelsAvx512Vnni;
#endif

}  // namespace qconv::native
