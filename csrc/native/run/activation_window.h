#pragma once

#include <cstdint>
#include <vector>

#include "native/run/conv_run.h"

namespace qconv::native {

// A copy of the part of an activation that an area of one output plane reads, padded with the zero
// point and ordered so that one tap of all its pixels lies at a constant distance from the pixels:
//
//   value(pixel (row, column), tap, k) =
//       data[tap_offsets[tap] + (row * row_step * columns + column * pixel_step) * pixel_values +
//       k]
//
// Taps without folding: the rows and columns of a strided convolution are dealt out to planes by
// their number modulo the stride, so that neighbouring output pixels are neighbours in every plane;
// those of taps that dilation sets far apart to a plane for each tap.
// With folding (see Layout) a pixel holds `folded_rows` rows, and the stride stays. So does that of
// the columns of grouped layouts, whose taps share what they read of neighbouring pixels, and where
// the width is unfolded (see RunPhases): rows of all groups are copied whole.
//
// All phases of a transposed convolution (see RunPhases) share a window. Its output pixels are
// positions, and each phase has taps of its own.
class ActivationWindow {
 public:
  // The calling thread's.
  static ActivationWindow& of_thread();

  // For an area of so many rows and columns of outputs, or of positions.
  void plan(const ConvRun& run, int64_t rows, int64_t columns);

  // Of the elements that copy() writes for it, and of 64 more that may be read.
  int64_t bytes() const;

  // Copies what an area of the planned size reads, all groups. Element is uint8_t, or uint16_t for
  // kernel sets with a `widen`.
  template <typename Element>
  void copy(int64_t batch, int64_t output_plane, const Area& area, Element* to) const;

  // Elements; they depend on the size planned. Those of group 0; group_offset(g) is to be added.
  const int64_t* tap_offsets(int64_t phase) const {
    return tap_offsets_.data() + first_taps_[static_cast<size_t>(phase)];
  }
  int64_t group_offset(int64_t group) const;
  int64_t pixel_stride() const { return pixel_step_ * pixel_values_; }
  int64_t row_stride() const { return columns_ * pixel_values_; }
  // Pixels from one output row to the next, if that is a constant distance; else 0.
  int64_t row_pitch() const { return columns_ % pixel_step_ == 0 ? columns_ / pixel_step_ : 0; }

 private:
  struct Plane {
    int64_t depth = 0;   // kernel_d index
    int64_t row = 0;     // input row of the plane's row 0, from the first output row's top
    int64_t column = 0;  // input column of its column 0; padding not taken off
    int64_t group = 0;   // of folded windows
  };

  // Columns [begin, end) of the window lie in the input, the first at its column `first_input`.
  struct Columns {
    int64_t begin = 0;
    int64_t end = 0;
    int64_t first_input = 0;
  };

  template <typename Element>
  void copy_plane(
      const Plane& plane, int64_t batch, int64_t output_plane, const Area& area, Element* to) const;
  template <typename Element>
  void copy_row(const uint8_t* row, const Plane& plane, Columns columns, Element* to) const;
  template <int kFolded, typename Element>
  void copy_folded_rows(
      const uint8_t* const* rows, const Plane& plane, Columns columns, Element* to) const;
  Columns columns_inside(const Plane& plane, int64_t first_column) const;
  void copy_values(const uint8_t* from, int64_t count, uint8_t* to) const;
  void copy_values(const uint8_t* from, int64_t count, uint16_t* to) const;
  int64_t plane_values() const { return (rows_ * columns_ + shared_columns_) * pixel_values_; }
  void plan_split();
  void plan_folded();
  void plan_phases(const RunPhases& phases);
  void add_taps(const RunPhase& run, const Extent& reach);
  void share_columns();

  // What is read, as a forward convolution whose output pixels are the window's.
  Convolution conv_;
  bool folds_width_ = false;
  bool deals_columns_ = true;
  int64_t folded_rows_ = 1;
  void (*widen_)(const uint8_t* from, int64_t count, uint16_t* to) = nullptr;
  const RunInput* input_ = nullptr;
  const uint8_t* input_bytes_ = nullptr;
  uint8_t flip_ = 0;        // see ConvRun
  int32_t zero_point_ = 0;  // of the flipped bytes
  int64_t output_rows_ = 0;
  int64_t output_columns_ = 0;
  bool whole_rows_ = true;
  int64_t rows_ = 0;  // of a plane
  int64_t columns_ = 0;
  int64_t shared_columns_ = 0;  // of a row with the next one, which follow the last row of a plane
  int64_t pixel_values_ = 0;
  int64_t pixel_step_ = 1;
  int64_t planes_per_group_ = 0;  // of folded windows
  int64_t input_row_step_ = 1;    // input rows and columns between those of a plane
  int64_t input_column_step_ = 1;
  std::vector<Plane> planes_;
  std::vector<int64_t> tap_offsets_;
  std::vector<int64_t> first_taps_;  // of each phase
};

}  // namespace qconv::native
