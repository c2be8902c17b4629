#pragma once

#include <cstdint>
#include <vector>

#include "native/format/pack.h"
#include "native/format/pack_kernels.h"

namespace qconv::native {

// Packs a block of output channels of a weight of any strides, tap by tap.
void pack_gathered(
    const PackSource& source, const Layout& layout, const BlockSource& block, int8_t* out,
    BlockSums& sums, const PackKernels& kernels);

// The same for layouts in which every tap begins with a quad, of which places[tap] is the number in
// the block: four input channels at a time, all taps of each. That reads a weight in runs whose
// input channels lie farther apart than its output channels, as transposed ones come.
void pack_quads(
    const PackSource& source, const std::vector<int64_t>& places, const BlockSource& block,
    int8_t* out, BlockSums& sums, const PackKernels& kernels);

}  // namespace qconv::native
