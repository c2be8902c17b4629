#include "native/format/weight_strides.h"

#include <cstddef>

namespace qconv::native {

WeightStrides contiguous_strides(const Convolution& conv) {
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t out_channels = conv.out_channels_per_group();
  WeightStrides strides;
  strides.group = in_channels * out_channels * conv.taps();
  strides.out_channel = (conv.transposed ? 1 : in_channels) * conv.taps();
  strides.in_channel = (conv.transposed ? out_channels : 1) * conv.taps();
  strides.kernel = {conv.kernel[1] * conv.kernel[2], conv.kernel[2], 1};
  return strides;
}

PhaseWeight weight_of_phase(const WeightStrides& strides, const Phase& phase) {
  PhaseWeight weight;
  weight.strides = strides;
  for (size_t i = 0; i < phase.first_tap.size(); ++i) {
    weight.first += phase.first_tap[i] * strides.kernel[i];
    weight.strides.kernel[i] *= phase.tap_step[i];
  }
  return weight;
}

}  // namespace qconv::native
