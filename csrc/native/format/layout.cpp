#include "native/format/layout.h"

#include <algorithm>

#include "native/rounding.h"

namespace qconv::native {
namespace {

// Bytes of a tap that one step of the widest kernel (a row of an AMX tile) takes.
constexpr int64_t kStepBytes = kQuadsPerTile * kQuad;
// From this size of a weight on, padding a group's last block to all 16 columns costs more memory
// than the partial stores that it saves are worth.
constexpr int64_t kNarrowBlockFrom = 65536;
// Up to this many input channels a kernel row is so short that several share a step.
constexpr int64_t kMostChannelsOfFoldedRows = 4;

// The kernel's rows spread evenly over as few steps as its bytes need.
int64_t rows_in_tap(const Convolution& conv) {
  const int64_t row_bytes = conv.kernel[2] * conv.in_channels_per_group();
  if (conv.in_channels_per_group() > kMostChannelsOfFoldedRows || conv.dilation[1] != 1) {
    return 1;
  }
  const int64_t steps = ceil_divide(conv.kernel[1] * row_bytes, kStepBytes);
  return std::max<int64_t>(1, std::min(ceil_divide(conv.kernel[1], steps), kStepBytes / row_bytes));
}

bool folds_width(const Convolution& conv) {
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t columns = conv.kernel[2];
  return conv.dilation[2] == 1 && columns > 1 &&
      columns * ceil_divide(in_channels, kStepBytes) >
      ceil_divide(columns * in_channels, kStepBytes);
}

// Input channels of a group whose products are few enough for vectors of 16 outputs, as against
// tiles that sum over 64 inputs.
constexpr int64_t kMostGroupedInputs = 16;
// What a kernel spreads over the output channels of a block, from one quad of the block's first
// group to the same one of its last.
constexpr int64_t kSpreadBytes = 16;

bool is_depthwise(const Convolution& conv) {
  return conv.groups > 1 && conv.in_channels_per_group() == 1 && conv.out_channels_per_group() == 1;
}

Layout depthwise_layout(const Convolution& conv) {
  Layout layout;
  layout.kind = LayoutKind::kDepthwise;
  layout.taps = conv.taps();
  layout.depth = 1;
  layout.weight_bytes = layout.taps * round_up(conv.out_channels, kBlockColumns);
  return layout;
}

// weights: how many there are in all, in other phases too.
Layout dense_layout(
    const Convolution& conv, bool folds_width, int64_t folded_rows, int64_t weights) {
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t out_channels = conv.out_channels_per_group();
  const int64_t columns = conv.kernel[2];
  Layout layout;
  layout.folds_width = folds_width;
  layout.folded_rows = folded_rows;
  layout.taps = conv.kernel[0] * ceil_divide(conv.kernel[1], layout.folded_rows) *
      (layout.folds_width ? 1 : columns);
  layout.depth = (layout.folds_width ? columns : 1) * layout.folded_rows * in_channels;
  layout.k_blocks = ceil_divide(layout.depth, kStepBytes);
  layout.quads = ceil_divide(layout.used_quads(), layout.k_blocks);
  layout.groups = conv.groups;
  layout.blocks = ceil_divide(out_channels, kBlockColumns);
  const int64_t left = out_channels % kBlockColumns;
  if (left != 0 && weights >= kNarrowBlockFrom) {
    layout.last_columns = round_up(left, kQuad);
  }
  layout.weight_bytes = conv.groups * layout.group_bytes();
  return layout;
}

Layout grouped_layout(const Convolution& conv) {
  Layout layout;
  layout.kind = LayoutKind::kGrouped;
  layout.taps = conv.taps();
  layout.depth = conv.in_channels_per_group();
  layout.quads = layout.used_quads();
  layout.blocks = ceil_divide(conv.out_channels, kBlockColumns);
  layout.weight_bytes = layout.group_bytes();
  return layout;
}

}  // namespace

bool is_grouped(const Convolution& conv) {
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t out_channels = conv.out_channels_per_group();
  if (conv.transposed || conv.groups == 1 || in_channels % kQuad != 0 ||
      in_channels > kMostGroupedInputs || kBlockColumns % out_channels != 0) {
    return false;
  }
  return (kBlockColumns / out_channels - 1) * in_channels + kQuad <= kSpreadBytes;
}

Layout layout_of(const Convolution& conv) {
  if (is_depthwise(conv)) {
    return depthwise_layout(conv);
  }
  if (is_grouped(conv)) {
    return grouped_layout(conv);
  }
  const bool folds = folds_width(conv);
  return dense_layout(conv, folds, folds ? rows_in_tap(conv) : 1, conv.weights());
}

Layout layout_of_phase(const Convolution& phase, const Convolution& first_phase, int64_t weights) {
  return is_depthwise(phase) ? depthwise_layout(phase)
                             : dense_layout(phase, folds_width(first_phase), 1, weights);
}

}  // namespace qconv::native
