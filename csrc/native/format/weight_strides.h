#pragma once

#include <cstdint>

#include "native/convolution.h"
#include "native/format/phases.h"

namespace qconv::native {

// Elements between a weight and its neighbours.
struct WeightStrides {
  int64_t group = 0;
  int64_t out_channel = 0;  // of the group
  int64_t in_channel = 0;   // of the group
  Extent kernel{0, 0, 0};

  // Elements from the first weight to the first one of an output channel.
  int64_t channel_offset(const Convolution& conv, int64_t channel) const {
    const int64_t in_group = conv.out_channels_per_group();
    return channel / in_group * group + channel % in_group * out_channel;
  }

  bool operator==(const WeightStrides&) const = default;
};

// Of a weight in the order [out channel][input channel of the group][depth][height][width]; of a
// transposed convolution [in channel][output channel of the group][depth][height][width].
WeightStrides contiguous_strides(const Convolution& conv);

// Where the taps of one phase lie in the weight of all.
struct PhaseWeight {
  int64_t first = 0;  // elements from the first weight to the phase's first one
  WeightStrides strides;
};

PhaseWeight weight_of_phase(const WeightStrides& strides, const Phase& phase);

}  // namespace qconv::native
