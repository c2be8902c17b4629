#include "native/format/weight_offset.h"

namespace qconv::native {

int64_t weight_offset(
    const Convolution& conv, const Layout& layout, const std::array<int64_t, 5>& strides,
    int64_t tap, int64_t position) {
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t channel = position % in_channels;
  const int64_t row_in_tap = position / in_channels % layout.folded_rows;
  int64_t column = position / in_channels / layout.folded_rows;
  if (!layout.folds_width) {
    column = tap % conv.kernel[2];
    tap /= conv.kernel[2];
  }
  const int64_t row_taps = (conv.kernel[1] + layout.folded_rows - 1) / layout.folded_rows;
  const int64_t row = tap % row_taps * layout.folded_rows + row_in_tap;
  const int64_t depth = tap / row_taps;
  if (row >= conv.kernel[1]) {
    return -1;
  }
  return channel * strides[1] + depth * strides[2] + row * strides[3] + column * strides[4];
}

}  // namespace qconv::native
