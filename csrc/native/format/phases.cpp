#include "native/format/phases.h"

#include <algorithm>
#include <numeric>

namespace qconv::native {
namespace {

// Taps of the first `phases` phases.
int64_t taps_before(const PhaseAxis& axis, int64_t phases) {
  return phases * axis.taps_of(0) - std::max<int64_t>(phases - axis.full_phases(), 0);
}

}  // namespace

Phases::Phases(const Convolution& conv) : whole_(conv) {
  for (size_t i = 0; i < axes_.size(); ++i) {
    PhaseAxis& axis = axes_[i];
    axis.taps = conv.kernel[i];
    axis.input_step = conv.dilation[i];
    if (conv.transposed) {
      const int64_t common = std::gcd(conv.stride[i], conv.dilation[i]);
      axis.tap_step = conv.stride[i] / common;
      axis.input_step = conv.dilation[i] / common;
      axis.count = std::min(axis.taps, axis.tap_step);
    }
  }
}

Convolution Phases::conv_of(const Extent& number) const {
  Convolution conv = whole_;
  if (whole_.transposed) {
    conv.transposed = false;
    for (size_t i = 0; i < axes_.size(); ++i) {
      conv.kernel[i] = axes_[i].taps_of(number[i]);
      conv.stride[i] = 1;
      conv.padding[i] = 0;
      conv.output_padding[i] = 0;
      conv.dilation[i] = axes_[i].input_step;
    }
  }
  return conv;
}

Layout Phases::layout_of(const Convolution& conv) const {
  return whole_.transposed ? layout_of_phase(conv, conv_of({0, 0, 0}), whole_.weights())
                           : native::layout_of(conv);
}

int64_t Phases::width_bytes(int64_t phases) const {
  const auto bytes_of = [&](int64_t phase) {
    Convolution conv = conv_of({0, 0, phase});
    conv.kernel[0] = 1;
    conv.kernel[1] = 1;
    return layout_of(conv).weight_bytes;
  };
  const int64_t full = std::min(phases, axes_[2].full_phases());
  return full * bytes_of(0) + (phases > full ? (phases - full) * bytes_of(full) : 0);
}

int64_t Phases::weight_bytes() const {
  // Rows, which only forward convolutions fold, are part of a layout's own bytes.
  return whole_.transposed ? axes_[0].taps * axes_[1].taps * width_bytes(axes_[2].count)
                           : layout_of(whole_).weight_bytes;
}

Phase Phases::at(int64_t index) const {
  Phase phase;
  phase.index = index;
  phase.number = {
      index / axes_[2].count / axes_[1].count, index / axes_[2].count % axes_[1].count,
      index % axes_[2].count};
  phase.conv = conv_of(phase.number);
  phase.layout = layout_of(phase.conv);
  if (whole_.transposed) {
    const int64_t rows_before = taps_before(axes_[0], phase.number[0]) * axes_[1].taps +
        phase.conv.kernel[0] * taps_before(axes_[1], phase.number[1]);
    phase.weight_offset = rows_before * width_bytes(axes_[2].count) +
        phase.conv.kernel[0] * phase.conv.kernel[1] * width_bytes(phase.number[2]);
    for (size_t i = 0; i < axes_.size(); ++i) {
      phase.first_tap[i] = phase.number[i] + (phase.conv.kernel[i] - 1) * axes_[i].tap_step;
      phase.tap_step[i] = -axes_[i].tap_step;
    }
  }
  return phase;
}

}  // namespace qconv::native
