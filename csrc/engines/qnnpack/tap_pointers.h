#pragma once

#include <cstdint>
#include <vector>

#include "engines/engine.h"
#include "engines/exact/tap_table.h"

namespace qconv {

// Which address each kernel tap of an output pixel reads. Kernels read up to 8 bytes before a pixel
// of few channels: the first pixels of the activation, before which there may be no memory, are
// read from a copy, and padding from a row of zero points.
class TapPointers {
 public:
  // taken: channels that a kernel takes of a pixel, those of a group or all.
  TapPointers(
      const ConvGeometry& geometry, const RunShape& shape, const Activation& input, int64_t taken);

  // Output pixels of the whole batch.
  int64_t pixels() const { return pixels_; }

  // Writes the pointers of an output pixel's taps, `step` entries apart. taps: scratch with
  // kernel_taps() entries.
  void write(
      int64_t pixel, std::vector<int64_t>& taps, const uint8_t** pointers, int64_t step) const;

  // A pixel of zero points.
  const uint8_t* padding() const;

 private:
  const TapTable table_;
  const uint8_t* const input_;
  const int64_t channels_, pixels_, taken_;
  std::vector<uint8_t> padding_, first_pixels_;
};

}  // namespace qconv
