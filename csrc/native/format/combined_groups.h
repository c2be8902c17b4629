#pragma once

#include <cstdint>
#include <vector>

#include "native/convolution.h"
#include "native/format/weight_strides.h"

namespace qconv::native {

// Groups of few output channels, as they are packed and run: as many as fill a block of output
// channels are one group, in which the weights between the inputs of one and the outputs of another
// are the output channel's zero point and so contribute nothing. A kernel computes whole blocks, so
// that these products cost nothing that would be saved without them. Returns `conv` itself where no
// groups are combined. For a convolution that check_convolution accepts.
Convolution combine_groups(const Convolution& conv);

// The weight of combine_groups(conv), contiguous, of one of `conv` with these strides. zero_points:
// one, or one per output channel; null: all are 0.
std::vector<int8_t> combine_weight(
    const Convolution& conv, const int8_t* weight, const WeightStrides& strides,
    const int32_t* zero_points, bool zero_points_per_channel);

// The way back; both are contiguous.
void separate_weight(const Convolution& conv, const int8_t* combined, int8_t* weight);

}  // namespace qconv::native
