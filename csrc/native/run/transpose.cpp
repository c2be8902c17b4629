#include "native/run/transpose.h"

#include <algorithm>
#include <cstring>

#include "native/cpu/vector_clones.h"
#include "native/rounding.h"
#include "native/run/parts.h"

namespace qconv::native {
namespace {

// Bytes to a thread, as many as take it some microseconds.
constexpr int64_t kPart = 65536;

constexpr int64_t kSquare = 16;

// Rows of a block lie far apart, where the hardware sees no stream to fetch.
constexpr int64_t kRowsAhead = 32;

#if defined(__GNUC__)
using Bytes = uint8_t __attribute__((vector_size(kSquare)));

// Bytes of the first halves, or of the second ones, alternately.
Bytes interleaved(Bytes a, Bytes b, bool second) {
  return second
      ? __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
      : __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

// The first `count` rows; the rest of each column is zeros.
void transpose_square(
    const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride,
    int64_t count = kSquare) {
  Bytes rows[kSquare] = {};
  for (int64_t i = 0; i < count; ++i) {
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
void transpose_square(
    const uint8_t* from, int64_t from_stride, uint8_t* to, int64_t to_stride,
    int64_t count = kSquare) {
  for (int64_t j = 0; j < kSquare; ++j) {
    for (int64_t i = 0; i < kSquare; ++i) {
      to[j * to_stride + i] = i < count ? from[i * from_stride + j] : 0;
    }
  }
}
#endif

// The channels of images.
QCONV_VECTOR_CLONES void interleave_three(
    const uint8_t* __restrict__ from, int64_t pixels, uint8_t* __restrict__ to) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    to[3 * pixel] = from[pixel];
    to[3 * pixel + 1] = from[kBlockPixels + pixel];
    to[3 * pixel + 2] = from[2 * kBlockPixels + pixel];
  }
}

// Calls use(first) for stretches of kSquare that cover [0, count); the last ones may overlap.
template <typename Use>
void for_each_square(int64_t count, const Use& use) {
  for (int64_t first = 0; first < count; first += kSquare) {
    use(std::min(first, count - kSquare));
  }
}

// Of fewer channels than a square has, which lie alone: what is stored too much of a pixel is
// overwritten by the next one.
void transpose_few(const uint8_t* rows, int64_t channels, int64_t pixels, uint8_t* to) {
  const uint8_t* const end = to + pixels * channels;
  for_each_square(pixels, [&](int64_t first) {
    uint8_t square[kSquare * kSquare];
    transpose_square(rows + first, kBlockPixels, square, kSquare, channels);
    for (int64_t i = 0; i < kSquare; ++i) {
      uint8_t* const pixel = to + (first + i) * channels;
      const int64_t bytes = pixel + kSquare <= end ? kSquare : channels;
      std::memcpy(pixel, square + i * kSquare, static_cast<size_t>(bytes));
    }
  });
}

// Fetches what is copied kRowsAhead rows after that of `channel`. Few rows are streams.
void fetch_ahead(const ChannelsFirst& activation, const uint8_t* pixel, int64_t channel) {
  if (activation.channels < kRowsAhead) {
    return;
  }
  const int64_t ahead = channel + kRowsAhead;
  const uint8_t* const from = ahead < activation.channels
      ? pixel + ahead * activation.channel_stride
      : pixel + (ahead - activation.channels) * activation.channel_stride + kBlockPixels;
  __builtin_prefetch(from);
  __builtin_prefetch(from + kBlockPixels - 1);
}

// `pixels` of all channels, from the first channel's `pixel` on; at most a block's.
void transpose_pixels(
    const ChannelsFirst& activation, const uint8_t* pixel, int64_t pixels, uint8_t* to) {
  uint8_t rows[kBlockChannels * kBlockPixels];
  for (int64_t first = 0; first < activation.channels; first += kBlockChannels) {
    const int64_t channels = std::min(kBlockChannels, activation.channels - first);
    for (int64_t i = 0; i < channels; ++i) {
      fetch_ahead(activation, pixel, first + i);
      const uint8_t* const from = pixel + (first + i) * activation.channel_stride;
      uint8_t* const row = rows + i * kBlockPixels;
      if (pixels == kBlockPixels) {
        std::memcpy(row, from, kBlockPixels);
      } else {
        std::memcpy(row, from, static_cast<size_t>(pixels));
      }
    }
    transpose_block(rows, channels, pixels, to + first, activation.channels);
  }
}

}  // namespace

void transpose_block(
    const uint8_t* rows, int64_t channels, int64_t pixels, uint8_t* to, int64_t stride) {
  if (channels >= kSquare && pixels >= kSquare) {
    // All channels of a pixel one after the other: they share lines of the cache.
    for_each_square(pixels, [&](int64_t pixel) {
      for_each_square(channels, [&](int64_t channel) {
        transpose_square(
            rows + channel * kBlockPixels + pixel, kBlockPixels, to + pixel * stride + channel,
            stride);
      });
    });
    return;
  }
  if (channels == 3 && stride == 3) {
    interleave_three(rows, pixels, to);
    return;
  }
  if (channels > 1 && channels < kSquare && channels == stride && pixels >= kSquare) {
    transpose_few(rows, channels, pixels, to);
    return;
  }
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      to[pixel * stride + channel] = rows[channel * kBlockPixels + pixel];
    }
  }
}

void bring_channels_last(
    const ChannelsFirst& activation, uint8_t* to, const ParallelFor& parallel_for) {
  const int64_t channels = activation.channels;
  const int64_t blocks = ceil_divide(activation.pixels, kBlockPixels);
  const int64_t count = activation.batch * blocks;
  const int64_t bytes = activation.batch * channels * activation.pixels;
  const auto threads =
      static_cast<int>(std::clamp<int64_t>(bytes / kPart, 1, std::max(1, parallel_for.threads)));
  for_each_range(parallel_for, threads, count, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t n = block / blocks;
      const int64_t first = block % blocks * kBlockPixels;
      transpose_pixels(
          activation, activation.data + n * activation.image_stride + first,
          std::min(kBlockPixels, activation.pixels - first),
          to + (n * activation.pixels + first) * channels);
    }
  });
}

}  // namespace qconv::native
