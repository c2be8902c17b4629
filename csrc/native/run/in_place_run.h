#pragma once

#include <cstdint>

#include "native/run/conv_run.h"
#include "native/run/dense_call.h"

namespace qconv::native {

// Runs a dense convolution whose outputs have one tap each on the activation as it lies.
class InPlaceRun {
 public:
  explicit InPlaceRun(const ConvRun& run);

  // Whether every tap of every output reads the input at the output's own position.
  static bool can(const ConvRun& run);

  // The work: planes of rows of pixels of the input. Where output pixels lie as input pixels do,
  // one plane with every pixel as a row: any range of them can be run at once.
  int64_t planes() const { return planes_; }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  bool is_flat() const { return flat_; }

  void run_area(int64_t plane, const Area& area, const PhaseBlocks& blocks) const;

 private:
  // Pixels of the input that follow each other, and where their outputs go: as OutputPlace has it,
  // in pixels.
  struct Pixels {
    int64_t first = 0;
    int64_t count = 0;
    int64_t output = 0;
    int64_t output_step = 1;
    int64_t output_row_step = 0;
    int64_t row_pitch = 0;
    int64_t row_width = 0;
  };

  int64_t grouped_reach(const PhaseBlocks& blocks) const;
  void run_pixels(const Pixels& pixels, const PhaseBlocks& blocks) const;
  void call(const Pixels& pixels, const uint8_t* activation, const PhaseBlocks& blocks) const;

  const ConvRun& run_;
  bool flat_ = false;  // every pixel is a row
  int64_t planes_ = 1;
  int64_t rows_ = 0;
  int64_t columns_ = 1;
};

}  // namespace qconv::native
