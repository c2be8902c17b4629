// The layout of a convolution, computed by hand for each rule, and what check_convolution refuses.
#include "native/format/layout.h"

#include "check.h"
#include "native/format/check_convolution.h"
#include "packing.h"

namespace qconv::native::test {
namespace {

struct Case {
  const char* rule;
  Convolution conv;
  bool folds_width;
  int64_t folded_rows, taps, depth, k_blocks, quads, blocks, last_columns, weight_bytes;
};

Convolution dilated(Convolution conv, int64_t height, int64_t width) {
  conv.dilation = {1, height, width};
  return conv;
}

Convolution conv3d(int64_t channels, int64_t kernel) {
  Convolution conv = conv2d(channels, channels, kernel, kernel);
  conv.spatial_dims = 3;
  conv.kernel[0] = kernel;
  return conv;
}

const Case kCases[] = {
    {"1x1", conv2d(64, 64, 1, 1), false, 1, 1, 64, 1, 16, 4, 16, 4096},
    {"1x1, one channel", conv2d(1, 1, 1, 1), false, 1, 1, 1, 1, 1, 1, 16, 64},
    {"k blocks share their quads evenly", conv2d(65, 16, 1, 1), false, 1, 1, 65, 2, 9, 1, 16, 1152},
    {"3x3, full steps", conv2d(64, 64, 3, 3), false, 1, 9, 64, 1, 16, 4, 16, 36864},
    {"3x3, 63 channels gain nothing", conv2d(63, 16, 3, 3), false, 1, 9, 63, 1, 16, 1, 16, 9216},
    {"3x3, 42 channels fold the width", conv2d(42, 16, 3, 3), true, 1, 3, 126, 2, 16, 1, 16, 6144},
    {"3x3, 43 don't", conv2d(43, 16, 3, 3), false, 1, 9, 43, 1, 11, 1, 16, 6336},
    {"3x3, 96 channels fold", conv2d(96, 16, 3, 3), true, 1, 3, 288, 5, 15, 1, 16, 14400},
    {"dilated width doesn't fold", dilated(conv2d(8, 16, 3, 3), 1, 2), false, 1, 9, 8, 1, 2, 1, 16,
     1152},
    {"first layer 7x7 folds 3 rows", conv2d(3, 64, 7, 7), true, 3, 3, 63, 1, 16, 4, 16, 12288},
    {"first layer 3x3 folds all rows", conv2d(3, 32, 3, 3), true, 3, 1, 27, 1, 7, 2, 16, 896},
    {"5 channels fold no rows", conv2d(5, 16, 3, 3), true, 1, 3, 15, 1, 4, 1, 16, 768},
    {"dilated rows don't fold", dilated(conv2d(3, 16, 3, 3), 2, 1), true, 1, 3, 9, 1, 3, 1, 16,
     576},
    {"rows spread evenly", conv2d(4, 16, 5, 5), true, 3, 2, 60, 1, 15, 1, 16, 1920},
    {"long rows don't fold", conv2d(4, 16, 3, 17), true, 1, 3, 68, 2, 9, 1, 16, 3456},
    {"depth", conv3d(16, 3), true, 1, 9, 48, 1, 12, 1, 16, 6912},
    {"a small weight pads its last block", conv2d(64, 24, 1, 1), false, 1, 1, 64, 1, 16, 2, 16,
     2048},
    {"a large one doesn't", conv2d(4096, 17, 1, 1), false, 1, 1, 4096, 64, 16, 2, 4, 81920},
    {"nor with groups", conv2d(4096, 42, 1, 1, 2), false, 1, 1, 2048, 32, 16, 2, 8, 98304},
    {"65535 weights are small", conv2d(4369, 15, 1, 1), false, 1, 1, 4369, 69, 16, 1, 16, 70656},
    {"channel multiplier", conv2d(4, 8, 3, 3, 4), true, 3, 1, 9, 1, 3, 1, 16, 768},
};

const Test kLayouts("layouts are those computed by hand", [] {
  for (const Case& c : kCases) {
    check_convolution(c.conv);
    const Layout layout = layout_of(c.conv);
    CHECK_EQUAL(static_cast<int>(layout.kind), static_cast<int>(LayoutKind::kDense), c.rule);
    CHECK_EQUAL(layout.folds_width, c.folds_width, c.rule);
    CHECK_EQUAL(layout.folded_rows, c.folded_rows, c.rule);
    CHECK_EQUAL(layout.taps, c.taps, c.rule);
    CHECK_EQUAL(layout.depth, c.depth, c.rule);
    CHECK_EQUAL(layout.k_blocks, c.k_blocks, c.rule);
    CHECK_EQUAL(layout.quads, c.quads, c.rule);
    CHECK_EQUAL(layout.blocks, c.blocks, c.rule);
    CHECK_EQUAL(layout.last_columns, c.last_columns, c.rule);
    CHECK_EQUAL(layout.weight_bytes, c.weight_bytes, c.rule);
  }
});

const Test kDepthwise("one channel per group is depthwise", [] {
  const Layout layout = layout_of(conv2d(17, 17, 3, 5, 17));
  CHECK_EQUAL(static_cast<int>(layout.kind), static_cast<int>(LayoutKind::kDepthwise));
  CHECK_EQUAL(layout.taps, 15);
  CHECK_EQUAL(layout.weight_bytes, 15 * 32);
  const Layout one_group = layout_of(conv2d(1, 1, 3, 3));
  CHECK_EQUAL(static_cast<int>(one_group.kind), static_cast<int>(LayoutKind::kDense));
});

template <typename Change>
std::string error_after(const Change& change) {
  Convolution conv = conv2d(8, 8, 3, 3, 2);
  change(conv);
  return error_of([&] { check_convolution(conv); });
}

const Test kErrors("what makes no sense or is too large is refused by name", [] {
  constexpr int64_t kTooLarge = kMaxExtent + 1;
  using C = Convolution;
  CHECK_EQUAL(error_after([](C&) {}), "no error");
  CHECK_CONTAINS(error_after([](C& c) { c.spatial_dims = 4; }), "spatial dimensions must be 1, 2");
  CHECK_CONTAINS(error_after([](C& c) { c.spatial_dims = 0; }), "got 0");
  CHECK_CONTAINS(error_after([](C& c) { c.in_channels = 0; }), "in_channels must be from 1 to");
  CHECK_CONTAINS(error_after([](C& c) { c.out_channels = -8; }), "out_channels must be from 1");
  CHECK_CONTAINS(error_after([](C& c) { c.groups = 0; }), "groups must be from 1");
  CHECK_CONTAINS(error_after([](C& c) { c.groups = 3; }), "groups must divide in_channels");
  CHECK_CONTAINS(error_after([](C& c) { c.out_channels = 7; }), "groups must divide out_channels");
  CHECK_CONTAINS(error_after([](C& c) { c.in_channels = kTooLarge; }), "got 2147483648");
  CHECK_CONTAINS(error_after([](C& c) { c.kernel[1] = 0; }), "kernel size of height must be");
  CHECK_CONTAINS(error_after([](C& c) { c.stride[2] = 0; }), "stride of width must be from 1");
  CHECK_CONTAINS(error_after([](C& c) { c.padding[1] = -1; }), "padding of height must be from 0");
  CHECK_CONTAINS(error_after([](C& c) { c.dilation[2] = INT64_MAX; }), "dilation of width must be");
  CHECK_CONTAINS(error_after([](C& c) { c.dilation[2] = kMaxExtent; }), "reach of kernel of width");
  CHECK_CONTAINS(error_after([](C& c) { c.output_padding[1] = 1; }), "isn't transposed, got 1");
  CHECK_CONTAINS(
      error_after([](C& c) { c.transposed = true, c.output_padding[1] = 1; }),
      "smaller than stride");
  CHECK_CONTAINS(error_after([](C& c) { c.kernel[0] = 2; }), "2 dimensions must have kernel size");
  CHECK_CONTAINS(error_after([](C& c) { c.spatial_dims = 1; }), "0 in height");
  CHECK_CONTAINS(
      error_after([](C& c) { c.kernel = {1, kMaxExtent, kMaxExtent}; }),
      "must have at most 16777216");
  CHECK_CONTAINS(
      error_after([](C& c) { c.in_channels = 2 << 24, c.kernel[1] = 1, c.kernel[2] = 2; }),
      "an output channel must have at most 16777216 weights");
  CHECK_CONTAINS(
      error_after([](C& c) { c.in_channels = 1 << 20, c.out_channels = 1 << 30; }),
      "a convolution must have at most 1099511627776 weights");
  Convolution transposed = conv2d(4, 4, 2, 2);
  transposed.transposed = true;
  CHECK_CONTAINS(error_of([&] { layout_of(transposed); }), "transposed convolutions");
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
