#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "native/convolution.h"
#include "native/format/layout.h"

namespace qconv::native {

// A transposed convolution as ordinary ones, so that nothing is multiplied by the zeros that it is
// said to insert. In every dimension
//
//   output = input * stride - padding + tap * dilation
//
// so that outputs whose (output + padding) modulo the stride is the same have the same taps, those
// whose tap * dilation modulo the stride is that: a phase. Its taps are `tap_step` apart, and its
// outputs `stride`; divided by the stride, outputs that are neighbours read inputs that are, and
// the inputs of neighbouring taps are `input_step` apart. That is a convolution of stride 1. (Shi
// et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009, for
// strides that divide the kernel's size.)
//
// Phases are numbered by their first tap, and follow from kernel, stride and dilation alone.
// Outputs without a tap are in none.
struct PhaseAxis {
  int64_t count = 1;       // phases
  int64_t taps = 1;        // of all of them together: the kernel's size
  int64_t tap_step = 1;    // kernel places between the taps of a phase
  int64_t input_step = 1;  // inputs between them

  int64_t taps_of(int64_t phase) const { return (taps - phase + tap_step - 1) / tap_step; }
  // Phases with as many taps as the first one, which come first; others have one less.
  int64_t full_phases() const { return taps - (taps_of(0) - 1) * tap_step; }
};

// One of the convolutions that a convolution consists of. A forward convolution is its only phase.
struct Phase {
  int64_t index = 0;
  Extent number{0, 0, 0};  // of the phase in each dimension
  Convolution conv;        // forward; where the whole is transposed, of stride 1 and padding 0
  Layout layout;
  int64_t weight_offset = 0;  // bytes from the weights of the first phase
  // Tap t of `conv` is place first_tap + t * tap_step of the kernel. Transposed convolutions go
  // down: their higher taps read earlier inputs.
  Extent first_tap{0, 0, 0};
  Extent tap_step{1, 1, 1};
};

// The phases of a convolution that check_convolution accepts, in the order in which they are
// packed. They are made when they are asked for: bytes that pretend to be a packed buffer may name
// millions.
class Phases {
 public:
  explicit Phases(const Convolution& conv);

  int64_t count() const { return axes_[0].count * axes_[1].count * axes_[2].count; }
  Phase at(int64_t index) const;
  const PhaseAxis& axis(size_t dimension) const { return axes_[dimension]; }
  int64_t weight_bytes() const;  // of all of them

 private:
  Convolution conv_of(const Extent& number) const;
  Layout layout_of(const Convolution& conv) const;
  // Bytes of the first `phases` of the width, where depth and height have one tap.
  int64_t width_bytes(int64_t phases) const;

  Convolution whole_;
  std::array<PhaseAxis, 3> axes_;
};

}  // namespace qconv::native
