#pragma once

#include "native/run/conv_run.h"
#include "native/run/dense_call.h"
#include "native/run/reached_cut.h"
#include "native/run/work_split.h"

namespace qconv::native {

// Runs a dense convolution of several taps on the activation as it lies, where none is in the
// padding, or none is left there (see ReachedTaps). One of a single tap is InPlaceRun's. Where
// dilation sets taps far apart, windows would hold little but what the next ones hold too.
class InsideRun {
 public:
  explicit InsideRun(const ConvRun& run) : run_(run) {}

  static bool can(const ConvRun& run);

  // An area of one plane of outputs.
  void run_area(int64_t plane, const Area& area, const PhaseBlocks& blocks) const;

 private:
  const int64_t* tap_offsets() const;
  bool joins_rows(const Area& area) const;
  void run_cut(
      int64_t plane, const ReachedCut& cut, const Area& area, const PhaseBlocks& blocks,
      DenseArguments arguments) const;

  const ConvRun& run_;
};

}  // namespace qconv::native
