#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "conv/check_input.h"
#include "conv/geometry.h"

namespace qconv {

// Which input pixel each kernel tap of an output pixel reads, for forward and transposed
// convolutions alike. Pixels are numbered in memory order within one image.
class TapTable {
 public:
  static constexpr int64_t kPadding = -1;

  TapTable(const ConvGeometry& geometry, const RunShape& shape);

  int64_t output_pixels() const { return output_pixels_; }
  int64_t input_pixels_per_image() const { return input_pixels_; }

  // Writes the input pixel of every tap, kPadding where the tap reads padding (or, transposed, a
  // place between the input's pixels).
  void input_pixels(int64_t output_pixel, std::vector<int64_t>& per_tap) const;

 private:
  // One spatial dimension: input coordinate of [output coordinate][tap], or kPadding.
  struct Axis {
    int64_t input_size = 1, output_size = 1, taps = 1;
    std::vector<int64_t> coordinates{0};
  };
  static Axis make_axis(const ConvGeometry& geometry, const RunShape& shape, int dim);

  std::array<Axis, 3> axes_;  // depth, height, width; depth is 1 where there are two dimensions
  int64_t output_pixels_ = 1;
  int64_t input_pixels_ = 1;
};

}  // namespace qconv
