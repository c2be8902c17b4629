#include "native/format/weight_offsets.h"

namespace qconv::native {

void weight_offsets(
    const Convolution& conv, const Layout& layout, const WeightStrides& strides, int64_t tap,
    int64_t begin, int64_t count, int64_t* offsets) {
  const int64_t in_channels = conv.in_channels_per_group();
  int64_t channel = begin % in_channels;
  int64_t row_in_tap = begin / in_channels % layout.folded_rows;
  int64_t column = begin / in_channels / layout.folded_rows;
  if (!layout.folds_width) {
    column = tap % conv.kernel[2];
    tap /= conv.kernel[2];
  }
  const int64_t row_taps = (conv.kernel[1] + layout.folded_rows - 1) / layout.folded_rows;
  const int64_t first_row = tap % row_taps * layout.folded_rows;
  const int64_t tap_offset = tap / row_taps * strides.kernel[0] + first_row * strides.kernel[1];
  for (int64_t i = 0; i < count; ++i) {
    offsets[i] = first_row + row_in_tap < conv.kernel[1]
        ? tap_offset + row_in_tap * strides.kernel[1] + column * strides.kernel[2] +
            channel * strides.in_channel
        : kNoWeight;
    if (++channel == in_channels) {
      channel = 0;
      if (++row_in_tap == layout.folded_rows) {
        row_in_tap = 0;
        ++column;
      }
    }
  }
}

}  // namespace qconv::native
