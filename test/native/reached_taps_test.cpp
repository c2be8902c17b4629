// Which taps of a kernel the outputs of an image have: all that reach the input and no others where
// outputs are cut, and cuts only where they save work.
#include "native/run/reached_taps.h"

#include <algorithm>
#include <cmath>

#include "check.h"
#include "native/kernels/kernel_set.h"
#include "native/run/run.h"
#include "packing.h"
#include "random.h"

namespace qconv::native::test {
namespace {

PackedView view_of(const Convolution& conv) {
  PackedView packed;
  packed.conv = conv;
  packed.layout = layout_of(conv);
  return packed;
}

Convolution dilated(int64_t channels, int64_t kernel, int64_t dilation) {
  Convolution conv = conv2d(channels, channels, kernel, kernel);
  conv.dilation = {1, dilation, dilation};
  conv.padding = {0, dilation * (kernel / 2), dilation * (kernel / 2)};
  return conv;
}

// For a square image whose zero point isn't 0.
ReachedTaps reached_taps(
    const Convolution& conv, int64_t size, const KernelSet& kernels, int32_t zero_point = 7) {
  RunInput input;
  input.batch = 1;
  input.size = {1, size, size};
  input.zero_point = zero_point;
  return {view_of(conv), input, output_size(conv, input.size), kernels};
}

void check_dimension(
    const Convolution& conv, size_t i, int64_t inputs, int64_t outputs, const TapCuts& cuts) {
  const int64_t kernel = conv.kernel[i];
  const bool cut = cuts.count > 1 || cuts.cut[0].taps < kernel;
  int64_t output = 0;
  for (size_t c = 0; c < cuts.count; ++c) {
    const TapCut& some = cuts.cut[c];
    CHECK(some.outputs > 0);
    CHECK(some.taps > 0 && some.first_tap >= 0 && some.first_tap + some.taps <= kernel);
    for (int64_t k = 0; k < some.outputs; ++k, ++output) {
      bool any = false;
      for (int64_t tap = 0; tap < kernel; ++tap) {
        const int64_t place = output * conv.stride[i] - conv.padding[i] + tap * conv.dilation[i];
        const bool inside = place >= 0 && place < inputs;
        const bool has = tap >= some.first_tap && tap < some.first_tap + some.taps;
        any = any || inside;
        CHECK(!inside || has);
        CHECK(!cut || inside || !has || some.taps == 1);
      }
      CHECK(!cut || any || some.taps == 1);
    }
  }
  CHECK_EQUAL(output, outputs);
}

void check_inside(const Convolution& conv, size_t i, int64_t inputs, const TapCuts& cuts) {
  int64_t output = 0;
  for (size_t c = 0; c < cuts.count; ++c) {
    const TapCut& some = cuts.cut[c];
    for (int64_t k = 0; k < some.outputs; ++k, ++output) {
      for (int64_t tap = some.first_tap; tap < some.first_tap + some.taps; ++tap) {
        const int64_t place = output * conv.stride[i] - conv.padding[i] + tap * conv.dilation[i];
        CHECK(place >= 0 && place < inputs);
      }
    }
  }
}

const Test kRandom("outputs that are cut have the taps that reach the input, and no others", [] {
  Random random(1);
  int cut = 0;
  int inside = 0;
  for (int i = 0; i < 20000; ++i) {
    Convolution conv = conv2d(64, 64, random.between(1, 9), random.between(1, 9));
    conv.kernel[0] = random.between(1, 3);
    RunInput input;
    input.batch = random.between(1, 2);
    input.zero_point = static_cast<int32_t>(random.between(0, 1));
    for (size_t d = 0; d < 3; ++d) {
      conv.stride[d] = random.between(1, 4);
      conv.dilation[d] = random.between(1, 12);
      conv.padding[d] = random.between(0, 40);
      const int64_t window = conv.dilation[d] * (conv.kernel[d] - 1) + 1;
      input.size[d] = std::max<int64_t>(1, window - 2 * conv.padding[d]) + random.between(0, 20);
    }
    const Extent size = output_size(conv, input.size);
    const PackedView packed = view_of(conv);
    const ReachedTaps reached(packed, input, size, *kernel_set(InstructionSet::kScalar));
    cut += reached.all() ? 0 : 1;
    for (size_t d = 0; d < 3; ++d) {
      check_dimension(conv, d, input.size[d], size[d], reached.cuts()[d]);
    }
    CHECK(reached.share() > 0 && reached.share() <= 1);
    CHECK_EQUAL(reached.share() < 1, !reached.all());
    if (reached.stay_inside(conv, input.size)) {
      ++inside;
      for (size_t d = 0; d < 3; ++d) {
        check_inside(conv, d, input.size[d], reached.cuts()[d]);
      }
    }
  }
  CHECK(cut > 5000);
  CHECK(inside > 200);
});

const Test kPays(
    "cuts are made where they save multiply-adds, not for the border of a large image", [] {
      const KernelSet& scalar = *kernel_set(InstructionSet::kScalar);
      KernelSet tiles = scalar;
      tiles.dense_runs = {.joins_rows = true, .computes_between = true, .multiple = 16, .ends = 5};
      tiles.dense_speed.multiply_adds = 1e6;
      // Rows and columns: 15 outputs with 2 taps each at both ends, 3 with 1 between them.
      const ReachedTaps far = reached_taps(dilated(256, 3, 18), 33, scalar);
      CHECK_EQUAL(far.cuts()[1].count, size_t{3});
      CHECK_EQUAL(far.cuts()[2].count, size_t{3});
      CHECK(std::abs(far.share() - 63.0 * 63.0 / 99 / 99) < 1e-9);
      CHECK_EQUAL(far.combinations(), 9);
      CHECK(!far.has_all({0, 1, 1}));
      CHECK_EQUAL(far.number({0, 2, 2}), 8);
      CHECK(!reached_taps(dilated(256, 3, 18), 33, tiles).all());
      CHECK(reached_taps(dilated(64, 3, 1), 200, scalar).all());
      // A kernel of which one tap alone reaches the image.
      const ReachedTaps one = reached_taps(dilated(64, 3, 1), 1, scalar, 0);
      CHECK_EQUAL(one.cuts()[1].count, size_t{1});
      CHECK_EQUAL(one.cuts()[1].cut[0].first_tap, 1);
      CHECK_EQUAL(one.cuts()[1].cut[0].taps, 1);
      // Few, long runs are worth more to kernels whose tiles hold 16 pixels than a third of the
      // border's taps.
      CHECK(!reached_taps(dilated(64, 3, 1), 14, scalar, 0).all());
      CHECK(reached_taps(dilated(64, 3, 1), 14, tiles, 0).all());
    });

const Test kInside(
    "what is left stays inside of the input unless a cut's only tap lies outside", [] {
      const KernelSet& kernels = *kernel_set(InstructionSet::kScalar);
      const auto stays = [&](const Convolution& conv, int64_t size) {
        return reached_taps(conv, size, kernels).stay_inside(conv, {1, size, size});
      };
      CHECK(stays(dilated(64, 3, 6), 12));
      CHECK(stays(dilated(64, 3, 18), 12));
      CHECK(!stays(dilated(64, 3, 1), 200));  // where nothing is cut
      Convolution unpadded = dilated(64, 3, 6);
      unpadded.padding = {0, 0, 0};
      CHECK(stays(unpadded, 20));
      Convolution far = dilated(64, 3, 6);
      far.padding = {0, 20, 20};
      CHECK(!stays(far, 12));
    });

const Test kNone(
    "other layouts, transposed convolutions and kernels without padding have all taps", [] {
      const KernelSet& kernels = *kernel_set(InstructionSet::kScalar);
      Convolution unpadded = dilated(64, 3, 6);
      unpadded.padding = {0, 0, 0};
      CHECK(reached_taps(unpadded, 20, kernels).all());
      Convolution depthwise = dilated(64, 3, 6);
      depthwise.groups = 64;
      CHECK(reached_taps(depthwise, 12, kernels).all());
      // Folded rows and columns of a first layer.
      CHECK(reached_taps(conv2d(3, 64, 7, 7), 7, kernels).all());
    });

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
