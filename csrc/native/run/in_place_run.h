#pragma once

#include <cstdint>

#include "native/run/conv_run.h"
#include "native/run/dense_call.h"

namespace qconv::native {

// Runs a dense convolution on the activation as it lies, without a window.
class InPlaceRun {
 public:
  explicit InPlaceRun(const ConvRun& run);

  // Whether every tap of every output reads the input at the output's own position.
  static bool can(const ConvRun& run);

  // The work: planes of rows that read row_pixels() pixels of the input each.
  int64_t planes() const { return planes_; }
  int64_t rows() const { return rows_; }
  int64_t row_pixels() const { return row_pixels_; }

  // Rows [first_row, first_row + rows) of a plane.
  void run_rows(int64_t plane, int64_t first_row, int64_t rows, const PhaseBlocks& blocks) const;

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
  // Output pixels lie as input pixels do: any range of them can be run at once, whatever its rows.
  bool flat_ = false;
  int64_t planes_ = 1;
  int64_t rows_ = 0;
  int64_t row_pixels_ = 1;
};

}  // namespace qconv::native
