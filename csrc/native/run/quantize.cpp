#include "native/run/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "native/cpu/instruction_set.h"
#include "native/cpu/vector_clones.h"
#include "native/kernels/kernel_set.h"
#include "native/rounding.h"
#include "native/run/parts.h"
#include "native/run/transpose.h"

namespace qconv::native {
namespace {

// Numbers of a part: large enough to be worth a thread.
constexpr int64_t kPart = 32768;

// Vectors of the compiler's, so that it need not find them in a loop.
constexpr int64_t kLanes = 16;
using Numbers = float __attribute__((vector_size(kLanes * sizeof(float))));
using Mask = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));

QCONV_VECTOR_CLONES void range_of(const float* values, int64_t count, Range& range) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Numbers smallest[2] = {Numbers{} + kInfinity, Numbers{} + kInfinity};
  Numbers largest[2] = {Numbers{} - kInfinity, Numbers{} - kInfinity};
  Mask nans[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      Numbers numbers;
      std::memcpy(&numbers, values + i + half * kLanes, sizeof(numbers));
      smallest[half] = numbers < smallest[half] ? numbers : smallest[half];
      largest[half] = numbers > largest[half] ? numbers : largest[half];
      nans[half] |= numbers != numbers;
    }
  }
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    for (int64_t half = 0; half < 2; ++half) {
      range.smallest = std::min(range.smallest, smallest[half][lane]);
      range.largest = std::max(range.largest, largest[half][lane]);
      range.has_nan = range.has_nan || nans[half][lane] != 0;
    }
  }
  for (; i < count; ++i) {
    range.smallest = values[i] < range.smallest ? values[i] : range.smallest;
    range.largest = values[i] > range.largest ? values[i] : range.largest;
    range.has_nan = range.has_nan || std::isnan(values[i]);
  }
}

struct Quantizer {
  QuantizeKernel kernel;
  float inverse;
  int32_t zero_point;

  void run(const float* values, int64_t count, uint8_t* quantized) const {
    kernel(values, count, inverse, zero_point, quantized);
  }
};

// Pixels [first, first + pixels) of one image in the order [channels][pixels].
void quantize_pixels(
    const FloatActivation& activation, const float* image, int64_t first, int64_t pixels,
    const Quantizer& quantizer, uint8_t* to) {
  uint8_t rows[kBlockChannels * kBlockPixels];
  for (int64_t channel = 0; channel < activation.channels; channel += kBlockChannels) {
    const int64_t count = std::min(kBlockChannels, activation.channels - channel);
    for (int64_t i = 0; i < count; ++i) {
      quantizer.run(
          image + (channel + i) * activation.pixels + first, pixels, rows + i * kBlockPixels);
    }
    transpose_block(rows, count, pixels, to + channel, activation.channels);
  }
}

}  // namespace

Range find_range(const float* values, int64_t count, const ParallelFor& parallel_for) {
  if (count == 0) {
    return {};
  }
  Range range{
      std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), false};
  std::mutex mutex;
  for_each_range(
      parallel_for, parallel_for.threads, ceil_divide(count, kPart),
      [&](int64_t begin, int64_t end) {
        Range part = {
            std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), false};
        range_of(values + begin * kPart, std::min(end * kPart, count) - begin * kPart, part);
        const std::lock_guard lock(mutex);
        range.smallest = std::min(range.smallest, part.smallest);
        range.largest = std::max(range.largest, part.largest);
        range.has_nan = range.has_nan || part.has_nan;
      });
  return range;
}

void quantize(
    const FloatActivation& activation, double scale, int32_t zero_point, uint8_t* quantized,
    const ParallelFor& parallel_for) {
  const Quantizer quantizer{
      kernel_set(most_capable_instruction_set())->quantize, 1 / static_cast<float>(scale),
      zero_point};
  const int64_t image = activation.channels * activation.pixels;
  if (activation.channels_last || activation.channels == 1 || activation.pixels == 1) {
    const int64_t count = activation.batch * image;
    for_each_range(
        parallel_for, parallel_for.threads, ceil_divide(count, kPart),
        [&](int64_t begin, int64_t end) {
          const int64_t first = begin * kPart;
          quantizer.run(
              activation.data + first, std::min(end * kPart, count) - first, quantized + first);
        });
    return;
  }
  const int64_t parts = ceil_divide(activation.pixels, kBlockPixels);
  for_each_range(
      parallel_for, parallel_for.threads, activation.batch * parts,
      [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part) {
          const int64_t n = part / parts;
          const int64_t first = part % parts * kBlockPixels;
          quantize_pixels(
              activation, activation.data + n * image, first,
              std::min(kBlockPixels, activation.pixels - first), quantizer,
              quantized + n * image + first * activation.channels);
        }
      });
}

}  // namespace qconv::native
