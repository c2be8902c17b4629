#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "native/format/phases.h"
#include "native/run/work_split.h"

namespace qconv::native {

// One dimension of one phase of a run. Its output t, of `outputs`, is output
// first_output + t * output_step of the whole convolution, stands at position first_position + t,
// and reads the inputs first_input + t * stride + tap * dilation of the phase's convolution.
struct RunPhaseAxis {
  int64_t outputs = 0;  // 0: the output is too small for this phase
  int64_t first_output = 0;
  int64_t output_step = 1;
  int64_t first_position = 0;
  int64_t first_input = 0;
};

struct RunPhase {
  Phase phase;
  std::array<RunPhaseAxis, 3> axes;

  bool has_outputs() const {
    return axes[0].outputs > 0 && axes[1].outputs > 0 && axes[2].outputs > 0;
  }
};

// Some outputs of a phase in one plane: those at an area of positions.
struct PhasePart {
  int64_t rows = 0;  // 0: there are none
  int64_t columns = 0;
  int64_t row = 0;  // of the area, that of the first output
  int64_t column = 0;
  Extent first_input{0, 0, 0};  // that the first tap of the first output reads
  int64_t first_pixel = 0;      // of the output, that of the first one
  int64_t pixel_step = 1;       // pixels of the output from a column to the next
  int64_t row_step = 0;         // and from a row to the next
};

// The phases of a convolution for an output of one size. Positions are what they share: outputs of
// several phases at one position read the same part of the input. Of a forward convolution
// positions are its outputs, of a transposed one its inputs and some places around them.
class RunPhases {
 public:
  RunPhases(const Convolution& conv, const Extent& output_size);

  int64_t count() const { return phases_.count(); }
  RunPhase at(int64_t index) const;
  // One dimension: of its phases, that of this number.
  RunPhaseAxis axis(size_t dimension, int64_t number) const;
  const Extent& output_size() const { return output_size_; }
  const PhaseAxis& taps(size_t dimension) const { return phases_.axis(dimension); }

  // The positions of all phases, in each dimension.
  const Extent& first_position() const { return first_position_; }
  const Extent& positions() const { return positions_; }

  // Whether all outputs are in a phase; otherwise see UnreachedPixels.
  bool reach_all_outputs() const { return reach_all_outputs_; }

  // From now on a tap of a dense layout is one column of the kernel, where the layout holds all in
  // one: the same bytes, if nothing pads them.
  void unfold_width() { unfolds_width_ = true; }
  bool unfolds_width() const { return unfolds_width_; }

  // Transposed: the output at a position reads inputs from `reach` before it to the position.
  const Extent& reach() const { return reach_; }

  // Those outputs of a phase that are in an area of plane `plane` of the positions, counted from
  // first_position(), of an image.
  PhasePart part(const RunPhase& run, int64_t batch, int64_t plane, const Area& area) const;

 private:
  Convolution conv_;
  Extent output_size_;
  Phases phases_;
  Extent first_position_{0, 0, 0};
  Extent positions_{0, 0, 0};
  Extent reach_{0, 0, 0};
  bool reach_all_outputs_ = true;
  bool unfolds_width_ = false;
};

// Calls use(first pixel, count, step) for every row of a phase's outputs.
template <typename Use>
void for_each_row(const RunPhases& phases, const RunPhase& phase, int64_t batch, const Use& use) {
  const Extent& positions = phases.positions();
  for (int64_t plane = 0; plane < batch * positions[0]; ++plane) {
    const PhasePart part = phases.part(
        phase, plane / positions[0], plane % positions[0], {0, positions[1], 0, positions[2]});
    for (int64_t row = 0; row < part.rows; ++row) {
      use(part.first_pixel + row * part.row_step, part.columns, part.pixel_step);
    }
  }
}

}  // namespace qconv::native
