#include "engines/qnnpack/tap_pointers.h"

#include <algorithm>

#include "engines/qnnpack/qnnpack_api.h"

namespace qconv {

TapPointers::TapPointers(
    const ConvGeometry& geometry, const RunShape& shape, const Activation& input, int64_t taken)
    : table_(geometry, shape),
      input_(input.data),
      channels_(geometry.in_channels),
      pixels_(shape.batch * table_.output_pixels()),
      taken_(taken),
      padding_(kQnnpackReach + channels_, static_cast<uint8_t>(input.zero_point)) {
  if (taken_ < kQnnpackReach) {
    // Pixels that begin in the first 8 bytes, whole.
    const int64_t bytes = std::min(
        kQnnpackReach + channels_, shape.batch * table_.input_pixels_per_image() * channels_);
    first_pixels_.resize(kQnnpackReach + bytes);
    std::copy_n(input_, bytes, first_pixels_.begin() + kQnnpackReach);
  }
}

const uint8_t* TapPointers::padding() const {
  return padding_.data() + kQnnpackReach;
}

void TapPointers::write(
    int64_t pixel, std::vector<int64_t>& taps, const uint8_t** pointers, int64_t step) const {
  table_.input_pixels(pixel % table_.output_pixels(), taps);
  const int64_t image = pixel / table_.output_pixels() * table_.input_pixels_per_image();
  for (int64_t input_pixel : taps) {
    const int64_t offset = (image + input_pixel) * channels_;
    if (input_pixel == TapTable::kPadding) {
      *pointers = padding();
    } else if (offset + taken_ < kQnnpackReach) {
      *pointers = first_pixels_.data() + kQnnpackReach + offset;
    } else {
      *pointers = input_ + offset;
    }
    pointers += step;
  }
}

}  // namespace qconv
