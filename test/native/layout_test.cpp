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

struct GroupedCase {
  Convolution conv;
  int64_t taps, quads, blocks, weight_bytes;
};

const GroupedCase kGroupedCases[] = {
    {conv2d(128, 128, 3, 3, 32), 9, 1, 8, 4608},
    {conv2d(256, 256, 3, 3, 32), 9, 2, 16, 18432},
    {conv2d(512, 512, 3, 3, 32), 9, 4, 32, 73728},
    {conv2d(24, 16, 1, 1, 2), 1, 3, 1, 192},  // 12 inputs and 8 outputs
    {conv2d(12, 48, 1, 2, 3), 2, 1, 3, 384},  // 4 and 16
    {conv2d(20, 20, 1, 1, 5), 1, 1, 2, 128},  // the last block holds 4 channels of 16
    {dilated(conv2d(8, 8, 3, 3, 2), 2, 3), 9, 1, 1, 576},
};

const Test kGrouped("groups of few channels share blocks", [] {
  for (const GroupedCase& c : kGroupedCases) {
    CHECK_EQUAL(is_grouped(c.conv), true, describe(c.conv));
    const Layout layout = layout_of(c.conv);
    CHECK_EQUAL(static_cast<int>(layout.kind), static_cast<int>(LayoutKind::kGrouped));
    CHECK_EQUAL(layout.folds_width, false, describe(c.conv));
    CHECK_EQUAL(layout.folded_rows, 1, describe(c.conv));
    CHECK_EQUAL(layout.taps, c.taps, describe(c.conv));
    CHECK_EQUAL(layout.depth, c.conv.in_channels_per_group(), describe(c.conv));
    CHECK_EQUAL(layout.k_blocks, 1, describe(c.conv));
    CHECK_EQUAL(layout.quads, c.quads, describe(c.conv));
    CHECK_EQUAL(layout.groups, 1, describe(c.conv));
    CHECK_EQUAL(layout.blocks, c.blocks, describe(c.conv));
    CHECK_EQUAL(layout.last_columns, 16, describe(c.conv));
    CHECK_EQUAL(layout.weight_bytes, c.weight_bytes, describe(c.conv));
  }
});

const Test kNotGrouped("other groups don't", [] {
  for (const Convolution& conv :
       {conv2d(16, 16, 3, 3), conv2d(12, 16, 3, 3, 4), conv2d(64, 64, 3, 3, 2),
        conv2d(8, 6, 3, 3, 2), conv2d(32, 16, 1, 1, 2), conv2d(512, 256, 5, 5, 32),
        conv2d(8, 4, 1, 1, 2), conv2d(40, 32, 1, 1, 2),
        transposed(conv2d(16, 16, 3, 3, 4), {1, 2, 2})}) {
    CHECK_EQUAL(is_grouped(conv), has_grouped_layout(conv), describe(conv));
    CHECK_EQUAL(is_grouped(conv), false, describe(conv));
  }
});

struct PhaseCase {
  const char* rule;
  Convolution conv;
  int64_t phases, weight_bytes;
  // Of the phase with the last number.
  Extent kernel, first_tap, tap_step, dilation;
  bool folds_width;
  int64_t taps, k_blocks, last_columns, weight_offset;
};

Convolution transposed3d(int64_t channels, const Extent& kernel, const Extent& stride) {
  Convolution conv = transposed(conv2d(channels, channels, kernel[1], kernel[2]), stride);
  conv.spatial_dims = 3;
  conv.kernel[0] = kernel[0];
  return conv;
}

const PhaseCase kPhaseCases[] = {
    {"2x2, stride 2: a tap each",
     transposed(conv2d(64, 32, 2, 2), {1, 2, 2}),
     4,
     8192,
     {1, 1, 1},
     {0, 1, 1},
     {-1, -2, -2},
     {1, 1, 1},
     false,
     1,
     1,
     16,
     6144},
    {"4x4, stride 2: every other tap",
     transposed(conv2d(64, 16, 4, 4), {1, 2, 2}),
     4,
     16384,
     {1, 2, 2},
     {0, 3, 3},
     {-1, -2, -2},
     {1, 1, 1},
     false,
     4,
     1,
     16,
     12288},
    {"3x3, stride 2: 4, 2, 2 and 1 taps",
     transposed(conv2d(64, 16, 3, 3), {1, 2, 2}),
     4,
     9216,
     {1, 1, 1},
     {0, 1, 1},
     {-1, -2, -2},
     {1, 1, 1},
     false,
     1,
     1,
     16,
     8192},
    {"stride 1 is one phase, backward",
     transposed(conv2d(64, 16, 3, 3), {1, 1, 1}),
     1,
     9216,
     {1, 3, 3},
     {0, 2, 2},
     {-1, -1, -1},
     {1, 1, 1},
     false,
     9,
     1,
     16,
     0},
    {"a stride beyond the kernel: no phase without a tap",
     transposed(conv2d(64, 16, 1, 2), {1, 5, 5}),
     2,
     2048,
     {1, 1, 1},
     {0, 0, 1},
     {-1, -5, -5},
     {1, 1, 1},
     false,
     1,
     1,
     16,
     1024},
    {"dilation and stride 2: all taps in one phase",
     transposed(dilated(conv2d(64, 16, 3, 3), 2, 2), {1, 2, 2}),
     1,
     9216,
     {1, 3, 3},
     {0, 2, 2},
     {-1, -1, -1},
     {1, 1, 1},
     false,
     9,
     1,
     16,
     0},
    {"dilation 3, stride 2: inputs 3 apart",
     transposed(dilated(conv2d(64, 16, 3, 3), 3, 3), {1, 2, 2}),
     4,
     9216,
     {1, 1, 1},
     {0, 1, 1},
     {-1, -2, -2},
     {1, 3, 3},
     false,
     1,
     1,
     16,
     8192},
    {"dilation 6, stride 4: half of it in common",
     transposed(dilated(conv2d(64, 16, 1, 5), 1, 6), {1, 1, 4}),
     2,
     5120,
     {1, 1, 2},
     {0, 0, 3},
     {-1, -1, -2},
     {1, 1, 3},
     false,
     2,
     1,
     16,
     3072},
    {"the width folds in all phases if in the first",
     transposed(conv2d(32, 16, 1, 4), {1, 1, 2}),
     2,
     2048,
     {1, 1, 2},
     {0, 0, 3},
     {-1, -1, -2},
     {1, 1, 1},
     true,
     1,
     1,
     16,
     1024},
    {"with one tap too",
     transposed(conv2d(32, 16, 1, 3), {1, 1, 2}),
     2,
     1536,
     {1, 1, 1},
     {0, 0, 1},
     {-1, -1, -2},
     {1, 1, 1},
     true,
     1,
     1,
     16,
     1024},
    {"rows don't fold",
     transposed(conv2d(3, 16, 4, 4), {1, 2, 2}),
     4,
     1024,
     {1, 2, 2},
     {0, 3, 3},
     {-1, -2, -2},
     {1, 1, 1},
     true,
     2,
     1,
     16,
     768},
    {"a narrow last block follows from all weights",
     transposed(conv2d(2048, 17, 1, 2), {1, 1, 2}),
     2,
     81920,
     {1, 1, 1},
     {0, 0, 1},
     {-1, -1, -2},
     {1, 1, 1},
     false,
     1,
     32,
     4,
     40960},
    {"three dimensions",
     transposed3d(16, {3, 2, 2}, {2, 2, 1}),
     4,
     3072,
     {1, 1, 2},
     {1, 1, 1},
     {-2, -2, -1},
     {1, 1, 1},
     true,
     1,
     1,
     16,
     2560},
    {"depthwise",
     transposed(conv2d(20, 20, 3, 3, 20), {1, 2, 2}),
     4,
     288,
     {1, 1, 1},
     {0, 1, 1},
     {-1, -2, -2},
     {1, 1, 1},
     false,
     1,
     1,
     16,
     256},
};

const Test kPhases("phases of transposed convolutions are those computed by hand", [] {
  for (const PhaseCase& c : kPhaseCases) {
    check_convolution(c.conv);
    const Phases phases(c.conv);
    CHECK_EQUAL(phases.count(), c.phases, c.rule);
    CHECK_EQUAL(phases.weight_bytes(), c.weight_bytes, c.rule);
    const Phase phase = phases.at(phases.count() - 1);
    CHECK_EQUAL(phase.conv.kernel == c.kernel, true, c.rule);
    CHECK_EQUAL(phase.first_tap == c.first_tap, true, c.rule);
    CHECK_EQUAL(phase.tap_step == c.tap_step, true, c.rule);
    CHECK_EQUAL(phase.conv.dilation == c.dilation, true, c.rule);
    CHECK_EQUAL(phase.layout.folds_width, c.folds_width, c.rule);
    CHECK_EQUAL(phase.layout.folded_rows, 1, c.rule);
    CHECK_EQUAL(phase.layout.taps, c.taps, c.rule);
    CHECK_EQUAL(phase.layout.k_blocks, c.k_blocks, c.rule);
    CHECK_EQUAL(phase.layout.last_columns, c.last_columns, c.rule);
    CHECK_EQUAL(phase.weight_offset, c.weight_offset, c.rule);
    CHECK_EQUAL(phase.weight_offset + phase.layout.weight_bytes, c.weight_bytes, c.rule);
  }
});

const Test kPhaseOffsets("phases follow each other without gaps, and every tap is in one", [] {
  for (int64_t kernel = 1; kernel <= 7; ++kernel) {
    for (int64_t stride = 1; stride <= 8; ++stride) {
      for (int64_t dilation = 1; dilation <= 6; ++dilation) {
        Convolution conv = transposed(conv2d(40, 20, kernel, 7 - kernel / 2), {1, stride, 3});
        conv.dilation = {1, dilation, 2};
        const Phases phases(conv);
        int64_t offset = 0;
        int64_t taps = 0;
        for (int64_t i = 0; i < phases.count(); ++i) {
          const Phase phase = phases.at(i);
          CHECK_EQUAL(phase.weight_offset, offset, describe(conv));
          offset += phase.layout.weight_bytes;
          taps += phase.conv.taps();
        }
        CHECK_EQUAL(offset, phases.weight_bytes(), describe(conv));
        CHECK_EQUAL(taps, conv.taps(), describe(conv));
      }
    }
  }
});

const Test kForward("a forward convolution is its only phase", [] {
  for (const Case& c : kCases) {
    const Phases phases(c.conv);
    CHECK_EQUAL(phases.count(), 1, c.rule);
    CHECK_EQUAL(phases.weight_bytes(), c.weight_bytes, c.rule);
    CHECK_EQUAL(phases.at(0).layout.weight_bytes, c.weight_bytes, c.rule);
    CHECK_EQUAL(phases.at(0).conv.kernel == c.conv.kernel, true, c.rule);
  }
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
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
