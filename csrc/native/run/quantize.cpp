#include "native/run/quantize.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>

#include "native/cpu/instruction_set.h"
#include "native/cpu/vector_clones.h"
#include "native/kernels/kernel_set.h"
#include "native/rounding.h"
#include "native/run/parts.h"

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

// [channels][pixels] bytes to [pixels][channels], rows `to_stride` apart.
constexpr int64_t kSquare = 16;

#if defined(__GNUC__)
using Bytes = uint8_t __attribute__((vector_size(kSquare)));

// Bytes of the first halves, or of the second ones, alternately.
Bytes interleaved(Bytes a, Bytes b, bool second) {
  return second
      ? __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
      : __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

void transpose_square(const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride) {
  Bytes rows[kSquare];
  for (int64_t i = 0; i < kSquare; ++i) {
    std::memcpy(&rows[i], from + i * from_stride, sizeof(Bytes));
  }
  // Each step interleaves rows i and i + 8; after four, row i is column i.
  for (int step = 0; step < 4; ++step) {
    Bytes next[kSquare];
    for (int64_t i = 0; i < kSquare / 2; ++i) {
      next[2 * i] = interleaved(rows[i], rows[i + kSquare / 2], false);
      next[2 * i + 1] = interleaved(rows[i], rows[i + kSquare / 2], true);
    }
    std::memcpy(rows, next, sizeof(rows));
  }
  for (int64_t i = 0; i < kSquare; ++i) {
    std::memcpy(to + i * to_stride, &rows[i], sizeof(Bytes));
  }
}
#else
void transpose_square(const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride) {
  for (int64_t i = 0; i < kSquare; ++i) {
    for (int64_t j = 0; j < kSquare; ++j) {
      to[j * to_stride + i] = from[i * from_stride + j];
    }
  }
}
#endif

// Pixels that are transposed at a time.
constexpr int64_t kPixels = 64;

// The channels of images.
QCONV_VECTOR_CLONES void interleave_three(
    const uint8_t* __restrict__ from, int64_t pixels, uint8_t* __restrict__ to) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    to[3 * pixel] = from[pixel];
    to[3 * pixel + 1] = from[kPixels + pixel];
    to[3 * pixel + 2] = from[2 * kPixels + pixel];
  }
}

// Calls use(first) for stretches of kSquare that cover [0, count); the last ones may overlap.
template <typename Use>
void for_each_square(int64_t count, const Use& use) {
  for (int64_t first = 0; first < count; first += kSquare) {
    use(std::min(first, count - kSquare));
  }
}

// Rows of kPixels bytes, one for each channel, to pixels `stride` apart.
void transpose(const uint8_t* from, int64_t channels, int64_t pixels, uint8_t* to, int64_t stride) {
  if (channels >= kSquare && pixels >= kSquare) {
    for_each_square(channels, [&](int64_t channel) {
      for_each_square(pixels, [&](int64_t pixel) {
        transpose_square(
            from + channel * kPixels + pixel, kPixels, to + pixel * stride + channel, stride);
      });
    });
    return;
  }
  if (channels == 3 && stride == 3) {
    interleave_three(from, pixels, to);
    return;
  }
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      to[pixel * stride + channel] = from[channel * kPixels + pixel];
    }
  }
}

// Pixels [first, first + pixels) of one image in the order [channels][pixels].
void quantize_pixels(
    const FloatActivation& activation, const float* image, int64_t first, int64_t pixels,
    const Quantizer& quantizer, uint8_t* to) {
  constexpr int64_t kChannels = 64;
  uint8_t rows[kChannels * kPixels];
  for (int64_t channel = 0; channel < activation.channels; channel += kChannels) {
    const int64_t count = std::min(kChannels, activation.channels - channel);
    for (int64_t i = 0; i < count; ++i) {
      quantizer.run(image + (channel + i) * activation.pixels + first, pixels, rows + i * kPixels);
    }
    transpose(rows, count, pixels, to + channel, activation.channels);
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
  for_each_part(parallel_for, ceil_divide(count, kPart), [&](int64_t begin, int64_t end) {
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
    for_each_part(parallel_for, ceil_divide(count, kPart), [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kPart;
      quantizer.run(
          activation.data + first, std::min(end * kPart, count) - first, quantized + first);
    });
    return;
  }
  const int64_t parts = ceil_divide(activation.pixels, kPixels);
  for_each_part(parallel_for, activation.batch * parts, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t n = part / parts;
      const int64_t first = part % parts * kPixels;
      quantize_pixels(
          activation, activation.data + n * image, first,
          std::min(kPixels, activation.pixels - first), quantizer,
          quantized + n * image + first * activation.channels);
    }
  });
}

}  // namespace qconv::native
