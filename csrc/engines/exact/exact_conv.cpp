#include "engines/exact/exact_conv.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "engines/exact/tap_table.h"
#include "native/cpu/vector_clones.h"

namespace qconv {
namespace {

// sums[c] = sum over taps of (image[tap's pixel][c] - zero_point) * weight[tap][c] for the next
// kBlock channels, whose sums stay in registers while the taps go by, or fewer where kBlock is
// larger than `count`. Padding stands for the zero point and adds nothing.
template <int64_t kBlock>
__attribute__((always_inline)) inline void sum_depthwise_block(
    int32_t* __restrict sums, const uint8_t* __restrict image, const int64_t* tap_pixels,
    int64_t taps, const int16_t* __restrict weight, int64_t channels, int32_t zero_point,
    int64_t count = kBlock) {
  int32_t block[kBlock] = {};
  for (int64_t tap = 0; tap < taps; ++tap) {
    if (tap_pixels[tap] == TapTable::kPadding) {
      continue;
    }
    const uint8_t* input = image + tap_pixels[tap] * channels;
    const int16_t* row = weight + tap * channels;
    for (int64_t c = 0; c < count; ++c) {
      block[c] += (static_cast<int32_t>(input[c]) - zero_point) * row[c];
    }
  }
  std::copy_n(block, count, sums);
}

QCONV_VECTOR_CLONES void sum_depthwise(
    int32_t* sums, const uint8_t* image, const int64_t* tap_pixels, int64_t taps,
    const int16_t* weight, int64_t channels, int32_t zero_point) {
  int64_t c = 0;
  for (; c + 64 <= channels; c += 64) {
    sum_depthwise_block<64>(
        sums + c, image + c, tap_pixels, taps, weight + c, channels, zero_point);
  }
  for (; c + 16 <= channels; c += 16) {
    sum_depthwise_block<16>(
        sums + c, image + c, tap_pixels, taps, weight + c, channels, zero_point);
  }
  if (c < channels) {
    sum_depthwise_block<16>(
        sums + c, image + c, tap_pixels, taps, weight + c, channels, zero_point, channels - c);
  }
}

// sums[o] += sum over i of (input[i] - zero_point) * weight[i][o]
QCONV_VECTOR_CLONES void add_dense_tap(
    int32_t* __restrict sums, const uint8_t* __restrict input, const int16_t* __restrict weight,
    int64_t in_channels, int64_t out_channels, int32_t zero_point) {
  for (int64_t i = 0; i < in_channels; ++i) {
    const int32_t value = static_cast<int32_t>(input[i]) - zero_point;
    const int16_t* row = weight + i * out_channels;
    for (int64_t o = 0; o < out_channels; ++o) {
      sums[o] += value * row[o];
    }
  }
}

// Output pixels whose sums are held at once: enough to share the epilogue's set-up, few enough
// for the sums of 1024 channels to stay in a 256 KB cache.
constexpr int64_t kPixelsPerRun = 32;

}  // namespace

ExactConv::ExactConv(std::shared_ptr<const ConvDescription> conv, const int8_t* grouped_weight)
    : conv_(std::move(conv)) {
  const ConvGeometry& geometry = conv_->geometry;
  const int64_t taps = geometry.kernel_taps();
  const int64_t in = geometry.in_channels_per_group();
  weight_.resize(geometry.out_channels * taps * in);
  for (int64_t channel = 0; channel < geometry.out_channels; ++channel) {
    const int32_t zero_point = conv_->weight.zero_points[conv_->channel_index(channel)];
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t i = 0; i < in; ++i) {
        const int8_t value = *grouped_weight++;
        weight_[position(channel, tap, i)] = static_cast<int16_t>(value - zero_point);
      }
    }
  }
}

bool ExactConv::depthwise() const {
  const ConvGeometry& geometry = conv_->geometry;
  return geometry.in_channels_per_group() == 1 && geometry.out_channels_per_group() == 1;
}

int64_t ExactConv::position(int64_t out_channel, int64_t tap, int64_t in_channel) const {
  const ConvGeometry& geometry = conv_->geometry;
  if (depthwise()) {
    return tap * geometry.out_channels + out_channel;
  }
  const int64_t out = geometry.out_channels_per_group();
  const int64_t group = out_channel / out;
  const int64_t row =
      (group * geometry.kernel_taps() + tap) * geometry.in_channels_per_group() + in_channel;
  return row * out + out_channel % out;
}

void ExactConv::unpack(int8_t* grouped_weight) const {
  const ConvGeometry& geometry = conv_->geometry;
  for (int64_t channel = 0; channel < geometry.out_channels; ++channel) {
    const int32_t zero_point = conv_->weight.zero_points[conv_->channel_index(channel)];
    for (int64_t tap = 0; tap < geometry.kernel_taps(); ++tap) {
      for (int64_t i = 0; i < geometry.in_channels_per_group(); ++i) {
        *grouped_weight++ = static_cast<int8_t>(weight_[position(channel, tap, i)] + zero_point);
      }
    }
  }
}

void ExactConv::sum_pixel(
    const uint8_t* image, int32_t zero_point, const std::vector<int64_t>& tap_pixels,
    int32_t* sums) const {
  const ConvGeometry& geometry = conv_->geometry;
  const int64_t in = geometry.in_channels_per_group();
  const int64_t out = geometry.out_channels_per_group();
  const int64_t taps = geometry.kernel_taps();
  if (depthwise()) {
    sum_depthwise(
        sums, image, tap_pixels.data(), taps, weight_.data(), geometry.out_channels, zero_point);
    return;
  }
  std::fill_n(sums, geometry.out_channels, 0);
  for (int64_t tap = 0; tap < taps; ++tap) {
    if (tap_pixels[tap] == TapTable::kPadding) {
      continue;
    }
    const uint8_t* pixel = image + tap_pixels[tap] * geometry.in_channels;
    for (int64_t group = 0; group < geometry.groups; ++group) {
      add_dense_tap(
          sums + group * out, pixel + group * in, &weight_[(group * taps + tap) * in * out], in,
          out, zero_point);
    }
  }
}

void ExactConv::for_each_run(
    const RunShape& shape, const Activation& input, Consume consume) const {
  const ConvGeometry& geometry = conv_->geometry;
  const TapTable table(geometry, shape);
  const int64_t pixels = shape.batch * table.output_pixels();
  const int64_t runs = (pixels + kPixelsPerRun - 1) / kPixelsPerRun;
  at::parallel_for(0, runs, 1, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(kPixelsPerRun * geometry.out_channels);
    std::vector<int64_t> tap_pixels(geometry.kernel_taps());
    for (int64_t run = begin; run < end; ++run) {
      const int64_t first = run * kPixelsPerRun;
      const int64_t count = std::min(kPixelsPerRun, pixels - first);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t image = (first + i) / table.output_pixels();
        table.input_pixels((first + i) % table.output_pixels(), tap_pixels);
        sum_pixel(
            input.data + image * table.input_pixels_per_image() * geometry.in_channels,
            input.zero_point, tap_pixels, &sums[i * geometry.out_channels]);
      }
      consume(first, count, sums.data());
    }
  });
}

void ExactConv::run(
    const RunShape& shape, const Activation& input, const OutputQuantization& quantization,
    PostOp post_op, uint8_t* output) const {
  const int64_t channels = conv_->geometry.out_channels;
  const double smallest = post_op == PostOp::kRelu ? quantization.zero_point : 0;
  for_each_run(shape, input, [&](int64_t first, int64_t pixels, const int32_t* sums) {
    uint8_t* destination = output + first * channels;
    for (int64_t i = 0; i < pixels * channels; ++i) {
      const double quanta =
          std::nearbyint(real_value(input, i % channels, sums[i]) / quantization.scale);
      destination[i] =
          static_cast<uint8_t>(std::clamp(quanta + quantization.zero_point, smallest, 255.0));
    }
  });
}

void ExactConv::run_to_float(const RunShape& shape, const Activation& input, float* output) const {
  const int64_t channels = conv_->geometry.out_channels;
  for_each_run(shape, input, [&](int64_t first, int64_t pixels, const int32_t* sums) {
    for (int64_t i = 0; i < pixels * channels; ++i) {
      output[first * channels + i] = static_cast<float>(real_value(input, i % channels, sums[i]));
    }
  });
}

double ExactConv::real_value(const Activation& input, int64_t channel, int32_t sum) const {
  const double weight_scale = conv_->weight.scales[conv_->channel_index(channel)];
  return sum * (input.scale * weight_scale) + (conv_->bias ? (*conv_->bias)[channel] : 0.0F);
}

}  // namespace qconv
