#pragma once

#include <cstdint>

#include "native/run/conv_run.h"
#include "native/run/dense_call.h"
#include "native/run/work_split.h"

namespace qconv::native {

// Runs a dense convolution, or a grouped layout, on copies of what its parts read (see
// ActivationWindow).
class WindowRun {
 public:
  explicit WindowRun(const ConvRun& run) : run_(run) {}

  // Plans the calling thread's window for a part, and fills it if it is to `copy`.
  void prepare(const WorkPart& part, bool copy) const;
  // An area of one plane of positions, from the window.
  void run_area(int64_t plane, const Area& area, const PhaseBlocks& blocks) const;
  // Whether rows of the planned window become one run.
  bool joins_rows(int64_t rows, int64_t width) const;

 private:
  // Of plane `plane` of an image.
  void run_blocks(
      const PhasePart& part, int64_t plane, const Area& area, const PhaseBlocks& blocks) const;
  void run_rows(
      const PhasePart& part, const Area& area, const PhaseBlocks& blocks, int64_t first_tap,
      DenseArguments& arguments) const;
  uint8_t* values() const;
  int64_t element_bytes() const { return run_.kernels.widen == nullptr ? 1 : 2; }

  const ConvRun& run_;
};

}  // namespace qconv::native
