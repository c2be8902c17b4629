#pragma once

#include <cstdint>

#include "native/convolution.h"

namespace qconv::native {

// Output channels that share a block of packed weights, and input values of a quad: 16 x 4 bytes
// are an AVX512-VNNI operand, and 16 rows of them an AMX tile.
constexpr int64_t kBlockColumns = 16;
constexpr int64_t kQuad = 4;
constexpr int64_t kQuadsPerTile = 16;

enum class LayoutKind : uint32_t { kDense = 1, kDepthwise = 2, kGrouped = 3 };

// Where every weight of a convolution lies in its packed form; of a transposed one, every weight of
// one of its phases (see phases.h). It follows from the convolution alone, never from the machine.
// docs/packed_format.md draws it and gives the reasons.
//
// kDense: [group][output block][tap][k block][quad][16 output channels][4 k], one byte each.
//   One tap is what a kernel reads of an activation without a jump, `depth` bytes:
//     [kernel_w if folds_width, else 1][folded_rows][in_channels_per_group]
//   padded with zeros to k_blocks * quads * 4 bytes. Taps are ordered [kernel_d][ceil(kernel_h /
//   folded_rows)][kernel_w unless folds_width]. Rows that folding adds below the kernel are zeros.
//   The last block of a group may be narrower, see last_columns.
// kDepthwise (one input and one output channel per group): [tap][channels, to a multiple of 16].
// kGrouped (groups of few channels): as kDense, with blocks of output channels that follow each
//   other across groups. A tap holds the input channels of a group; nothing is folded.
struct Layout {
  LayoutKind kind = LayoutKind::kDense;
  bool folds_width = false;  // a tap holds all columns of the kernel: few input channels
  int64_t folded_rows = 1;   // rows of the kernel that a tap holds: first layers
  int64_t taps = 1;
  int64_t depth = 0;                     // bytes of a tap before padding
  int64_t k_blocks = 1;                  // at most kQuadsPerTile quads each, all the same number
  int64_t quads = 1;                     // per k block
  int64_t groups = 1;                    // that have blocks of their own: kGrouped 1
  int64_t blocks = 0;                    // of output channels, in each of these
  int64_t last_columns = kBlockColumns;  // width of a group's last block: a multiple of 4
  int64_t weight_bytes = 0;

  int64_t quads_per_tap() const { return k_blocks * quads; }
  // Quads that hold weights; the others of a tap are padding.
  int64_t used_quads() const { return (depth + kQuad - 1) / kQuad; }
  // Bytes of a block of `columns` output channels.
  int64_t block_bytes(int64_t columns = kBlockColumns) const {
    return taps * quads_per_tap() * kQuad * columns;
  }
  int64_t group_bytes() const { return (blocks - 1) * block_bytes() + block_bytes(last_columns); }
};

// Whether layout_of gives kGrouped.
bool is_grouped(const Convolution& conv);

// For a forward convolution that check_convolution accepts, so that no size overflows.
Layout layout_of(const Convolution& conv);

// For one of the convolutions that a transposed one consists of. All fold their columns, or none,
// as suits the first one, so that they read an activation in the same order; rows aren't folded.
// weights: of all phases together.
Layout layout_of_phase(const Convolution& phase, const Convolution& first_phase, int64_t weights);

}  // namespace qconv::native
