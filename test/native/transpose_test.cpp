// Activations in PyTorch's order brought channels last, byte by byte: sizes around the edges of
// blocks and squares, channels and images apart. All buffers end at a page that can't be touched.
#include "native/run/transpose.h"

#include <random>
#include <string>

#include "backwards.h"
#include "check.h"
#include "guarded_memory.h"

namespace qconv::native::test {
namespace {

void check_channels_last(int64_t batch, int64_t channels, int64_t pixels, int64_t gap) {
  ChannelsFirst activation;
  activation.batch = batch;
  activation.channels = channels;
  activation.pixels = pixels;
  activation.channel_stride = pixels + gap;
  activation.image_stride = channels * activation.channel_stride + gap;
  // To the last pixel: what is apart from others by gaps isn't followed by one.
  const int64_t size =
      (batch - 1) * activation.image_stride + (channels - 1) * activation.channel_stride + pixels;
  const GuardedMemory input(static_cast<size_t>(size));
  std::mt19937 random(static_cast<uint32_t>(channels * 1000 + pixels));
  for (int64_t i = 0; i < size; ++i) {
    input.data()[i] = static_cast<uint8_t>(random());
  }
  activation.data = input.data();
  const GuardedMemory output(static_cast<size_t>(batch * channels * pixels));
  bring_channels_last(activation, output.data(), backwards());
  int64_t wrong = 0;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < pixels; ++p) {
        const uint8_t expected =
            activation.data[n * activation.image_stride + c * activation.channel_stride + p];
        wrong += output.data()[(n * pixels + p) * channels + c] != expected;
      }
    }
  }
  CHECK_EQUAL(
      wrong, 0,
      std::to_string(batch) + " images, " + std::to_string(channels) + " channels, " +
          std::to_string(pixels) + " pixels, gaps of " + std::to_string(gap));
}

const Test kSizes("sizes, gaps, batches", [] {
  for (const int64_t channels : {1, 2, 3, 4, 15, 16, 17, 31, 33, 63, 64, 65, 79, 80, 81, 130}) {
    for (const int64_t pixels : {1, 2, 15, 16, 17, 49, 63, 64, 65, 80, 127, 129, 1025}) {
      check_channels_last(1, channels, pixels, 0);
      check_channels_last(3, channels, pixels, 5);
    }
  }
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
