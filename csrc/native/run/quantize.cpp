#include "native/run/quantize.h"

#include <algorithm>
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
constexpr int64_t kLanes = 32;

// Loops over lanes become vectors: each has its own range, whose numbers don't depend on how many
// there are.
QCONV_VECTOR_CLONES void range_of(const float* values, int64_t count, Range& range) {
  float smallest[kLanes];
  float largest[kLanes];
  int32_t nans[kLanes] = {};
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    smallest[lane] = std::numeric_limits<float>::infinity();
    largest[lane] = -std::numeric_limits<float>::infinity();
  }
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      smallest[lane] = value < smallest[lane] ? value : smallest[lane];
      largest[lane] = value > largest[lane] ? value : largest[lane];
      nans[lane] |= value != value ? 1 : 0;
    }
  }
  for (; i < count; ++i) {
    const float value = values[i];
    smallest[0] = value < smallest[0] ? value : smallest[0];
    largest[0] = value > largest[0] ? value : largest[0];
    nans[0] |= value != value ? 1 : 0;
  }
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    range.smallest = smallest[lane] < range.smallest ? smallest[lane] : range.smallest;
    range.largest = largest[lane] > range.largest ? largest[lane] : range.largest;
    range.has_nan = range.has_nan || nans[lane] != 0;
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
