#include <algorithm>

#include "engines/qnnpack/kernels.h"
#include "engines/qnnpack/pixel_runs.h"
#include "engines/qnnpack/quantization_params.h"
#include "engines/qnnpack/tap_pointers.h"

namespace qconv {
namespace {

// Pixels whose inputs stay in the cache while one block of weights after the other is applied to
// them.
constexpr int64_t kPixelsPerRun = 32;

// Pointers of a run, for kernels of many taps: 1 MB.
constexpr int64_t kMostPointers = 131072;

int64_t pixels_at_once() {
  return pytorch_qnnp_params.q8conv.mr;
}
int64_t channels_at_once() {
  return pytorch_qnnp_params.q8conv.nr;
}

// Calls tile(weight, first output channel, channels, first pixel, pixels) for every tile of a run.
// Blocks of weights come outside pixels, so that a block is loaded once a run.
template <typename Tile>
void for_each_tile(
    const ConvGeometry& geometry, const TileBlocks& blocks, const WeightBytes& weight,
    int64_t group, int64_t count, const Tile& tile) {
  const int64_t out = geometry.out_channels_per_group();
  for (int64_t block = 0; block < blocks.blocks_per_group(); ++block) {
    const uint8_t* packed =
        weight.data() + (group * blocks.blocks_per_group() + block) * blocks.block_bytes();
    const int64_t channel = block * channels_at_once();
    const int64_t channels = std::min(channels_at_once(), out - channel);
    for (int64_t pixel = 0; pixel < count; pixel += pixels_at_once()) {
      const int64_t pixels = std::min(pixels_at_once(), count - pixel);
      tile(packed, group * out + channel, channels, pixel, pixels);
    }
  }
}

void run_gemm(
    const ConvGeometry& geometry, const TileBlocks& blocks, const WeightBytes& weight,
    int64_t pixels, const Activation& input, const QnnpackOutput& output) {
  const auto params = quantization_params(input, output);
  const int64_t in = geometry.in_channels_per_group();
  for_each_run_of_pixels(pixels, pixels_at_once(), kPixelsPerRun, [&](int64_t) {
    return [&](int64_t first, int64_t count) {
      const uint8_t* run_input = input.data + first * geometry.in_channels;
      uint8_t* run_output = output.data + first * geometry.out_channels;
      for (int64_t group = 0; group < geometry.groups; ++group) {
        for_each_tile(
            geometry, blocks, weight, group, count,
            [&](const uint8_t* packed, int64_t channel, int64_t channels, int64_t pixel,
                int64_t tile_pixels) {
              pytorch_qnnp_params.q8conv.gemm(
                  tile_pixels, channels, in, run_input + pixel * geometry.in_channels + group * in,
                  geometry.in_channels, packed,
                  run_output + pixel * geometry.out_channels + channel, geometry.out_channels,
                  channel, &params);
            });
      }
    };
  });
}

void run_conv(
    const ConvGeometry& geometry, const TileBlocks& blocks, const WeightBytes& weight,
    const RunShape& shape, const Activation& input, const QnnpackOutput& output) {
  const auto params = quantization_params(input, output);
  const int64_t in = geometry.in_channels_per_group();
  const int64_t taps = geometry.kernel_taps();
  const int64_t mr = pixels_at_once();
  const TapPointers source(geometry, shape, input, in);
  const int64_t most = std::min(kPixelsPerRun, kMostPointers / taps);
  for_each_run_of_pixels(source.pixels(), mr, most, [&](int64_t longest) {
    return [&, pointers = std::vector<const uint8_t*>(longest * taps),
            scratch = std::vector<int64_t>(taps)](int64_t first, int64_t count) mutable {
      const int64_t tiled = (count + mr - 1) / mr * mr;
      for (int64_t i = 0; i < tiled; ++i) {
        // The last pixel again where it doesn't fill its tile.
        source.write(
            first + std::min(i, count - 1), scratch, &pointers[i / mr * mr * taps + i % mr], mr);
      }
      uint8_t* run_output = output.data + first * geometry.out_channels;
      for (int64_t group = 0; group < geometry.groups; ++group) {
        for_each_tile(
            geometry, blocks, weight, group, count,
            [&](const uint8_t* packed, int64_t channel, int64_t channels, int64_t pixel,
                int64_t tile_pixels) {
              pytorch_qnnp_params.q8conv.conv(
                  tile_pixels, channels, in, taps, &pointers[pixel * taps], packed,
                  run_output + pixel * geometry.out_channels + channel, geometry.out_channels,
                  channel, &params);
            });
        // On to the next group's channels of the same pixels.
        std::for_each_n(pointers.begin(), tiled * taps, [&](const uint8_t*& at) { at += in; });
      }
    };
  });
}

}  // namespace

bool runs_as_gemm(const ConvGeometry& geometry) {
  const auto all = [](const Dims& values, int64_t expected) {
    return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == expected; });
  };
  // The matrix product would read before the first pixels of fewer channels.
  return geometry.in_channels_per_group() >= kQnnpackReach && all(geometry.kernel, 1) &&
      all(geometry.stride, 1) && all(geometry.padding, 0) && all(geometry.output_padding, 0);
}

void run_kernel(
    const ConvDescription& conv, const TileBlocks& blocks, const WeightBytes& weight,
    const RunShape& shape, const Activation& input, const QnnpackOutput& output) {
  if (!runs_as_gemm(conv.geometry)) {
    run_conv(conv.geometry, blocks, weight, shape, input, output);
    return;
  }
  int64_t pixels = shape.batch;
  for (int64_t size : shape.output_size) {
    pixels *= size;
  }
  run_gemm(conv.geometry, blocks, weight, pixels, input, output);
}

}  // namespace qconv
