// The range and the quantization of float activations, against their definitions: sizes around the
// edges of what is done at a time, NaNs at every place, ties. All buffers end at a page that can't
// be touched.
#include "native/run/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backwards.h"
#include "check.h"
#include "guarded_memory.h"
#include "native/cpu/instruction_set.h"
#include "native/kernels/kernel_set.h"

namespace qconv::native::test {
namespace {

const Test kRange("the range", [] {
  std::mt19937 random(1);
  for (const int64_t count : {1, 2, 31, 32, 33, 63, 64, 65, 500, 32767, 32768, 32769, 70000}) {
    const GuardedMemory memory(static_cast<size_t>(count) * sizeof(float));
    auto* const values = memory.as<float>();
    for (int64_t i = 0; i < count; ++i) {
      values[i] = std::uniform_real_distribution<float>(-3, 5)(random);
    }
    for (int i = 0; i < 20; ++i) {
      const auto place = static_cast<int64_t>(random() % static_cast<uint64_t>(count));
      const float value = values[place];
      values[place] = i % 2 == 0 ? -100 : 100;
      const Range range = find_range(values, count, backwards());
      CHECK_EQUAL(range.smallest, *std::min_element(values, values + count));
      CHECK_EQUAL(range.largest, *std::max_element(values, values + count));
      CHECK_EQUAL(range.has_nan, false);
      values[place] = std::numeric_limits<float>::quiet_NaN();
      CHECK_EQUAL(find_range(values, count, {}).has_nan, true, std::to_string(place));
      values[place] = std::numeric_limits<float>::infinity();
      CHECK_EQUAL(find_range(values, count, {}).largest, values[place]);
      values[place] = value;
    }
  }
  const Range nothing = find_range(nullptr, 0, {});
  CHECK_EQUAL(nothing.smallest, 0.0F);
  CHECK_EQUAL(nothing.largest, 0.0F);
});

uint8_t quantized(float value, double scale, int32_t zero_point) {
  const float quanta =
      std::fma(value, 1 / static_cast<float>(scale), static_cast<float>(zero_point));
  return static_cast<uint8_t>(std::clamp(std::nearbyint(quanta), 0.0F, 255.0F));
}

void check_quantize(int64_t batch, int64_t channels, int64_t pixels, bool channels_last) {
  std::mt19937 random(static_cast<uint32_t>(channels * 1000 + pixels));
  const int64_t count = batch * channels * pixels;
  const GuardedMemory memory(static_cast<size_t>(count) * sizeof(float));
  auto* const values = memory.as<float>();
  const double scale = random() % 2 == 0 ? 0.5 : 0.037;
  const auto zero_point = static_cast<int32_t>(random() % 256);
  for (int64_t i = 0; i < count; ++i) {
    // Many of the quotients are ties, and some lie beyond both ends.
    values[i] = static_cast<float>(static_cast<int>(random() % 1400) - 700) / 4;
  }
  const GuardedMemory output(static_cast<size_t>(count));
  const FloatActivation activation{values, batch, channels, pixels, channels_last};
  quantize(activation, scale, zero_point, output.data(), backwards());
  int64_t wrong = 0;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t place = (n * pixels + p) * channels + c;
        const float value = values[channels_last ? place : (n * channels + c) * pixels + p];
        wrong += output.data()[place] != quantized(value, scale, zero_point);
      }
    }
  }
  CHECK_EQUAL(
      wrong, 0,
      std::to_string(channels) + " channels, " + std::to_string(pixels) + " pixels, " +
          (channels_last ? "channels last" : "channels first"));
}

const Test kQuantize("quantization, in both orders", [] {
  for (const int64_t channels : {1, 2, 3, 4, 15, 16, 17, 31, 33, 63, 64, 65, 79, 80, 81, 130}) {
    for (const int64_t pixels : {1, 2, 15, 16, 17, 49, 63, 64, 65, 80, 127, 129, 200}) {
      check_quantize(1, channels, pixels, false);
      check_quantize(2, channels, pixels, true);
      check_quantize(3, channels, pixels, false);
    }
  }
});

const Test kSets("every instruction set", [] {
  constexpr int64_t kCount = 70;
  const GuardedMemory memory(kCount * sizeof(float));
  auto* const values = memory.as<float>();
  for (int64_t i = 0; i < kCount; ++i) {
    values[i] = static_cast<float>(i * i - 500) / 4;
  }
  values[7] = std::numeric_limits<float>::quiet_NaN();
  for (const InstructionSetEntry& entry : instruction_sets()) {
    for (int64_t count = 0; entry.supported && count <= kCount; ++count) {
      const GuardedMemory output(static_cast<size_t>(count));
      const float* const last = values + kCount - count;
      kernel_set(entry.set)->quantize(last, count, 2, 31, output.data());
      for (int64_t i = 0; i < count; ++i) {
        const uint8_t expected = last[i] != last[i] ? 0 : quantized(last[i], 0.5, 31);
        CHECK_EQUAL(output.data()[i], expected, entry.name);
      }
    }
  }
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
