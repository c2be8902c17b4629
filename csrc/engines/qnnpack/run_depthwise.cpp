#include <algorithm>

#include "engines/qnnpack/kernels.h"
#include "engines/qnnpack/pixel_runs.h"
#include "engines/qnnpack/quantization_params.h"
#include "engines/qnnpack/tap_pointers.h"

namespace qconv {
namespace {

// Pixels of one call: enough to pay for it, few enough for their pointers to stay in the cache.
constexpr int64_t kPixelsPerRun = 64;

}  // namespace

void run_kernel(
    const ConvDescription& conv, const DepthwiseBlocks& blocks, const WeightBytes& weight,
    const RunShape& shape, const Activation& input, const QnnpackOutput& output) {
  const auto params = quantization_params(input, output);
  const int64_t channels = conv.geometry.out_channels;
  const int64_t taps = conv.geometry.kernel_taps();
  const int64_t slots = blocks.tap_slots();
  const bool one_pass = slots == 9;
  const auto& nine = pytorch_qnnp_params.q8dw9;
  const auto& many = pytorch_qnnp_params.q8dw25;
  const auto one_pass_kernel = conv.weight.per_channel ? nine.updw_per_channel : nine.updw;
  const auto passes_kernel = conv.weight.per_channel ? many.mpdw_per_channel : many.mpdw;
  const TapPointers source(conv.geometry, shape, input, channels);
  for_each_run_of_pixels(source.pixels(), 1, kPixelsPerRun, [&](int64_t longest) {
    // Tap slots without a tap read padding.
    return [&, pointers = std::vector<const uint8_t*>(longest * slots, source.padding()),
            scratch = std::vector<int64_t>(taps),
            sums = std::vector<int32_t>(one_pass ? 0 : channels + kQnnpackReach)](
               int64_t first, int64_t count) mutable {
      for (int64_t i = 0; i < count; ++i) {
        source.write(first + i, scratch, &pointers[i * slots], 1);
      }
      const size_t stride = slots * sizeof(pointers[0]);
      uint8_t* destination = output.data + first * channels;
      if (one_pass) {
        one_pass_kernel(
            channels, count, pointers.data(), weight.data(), destination, stride, 0, &params);
      } else {
        passes_kernel(
            channels, count, pointers.data(), weight.data(), sums.data(), destination, stride, 0,
            &params);
      }
    };
  });
}

}  // namespace qconv
