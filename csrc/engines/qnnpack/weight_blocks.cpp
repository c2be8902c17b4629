#include "engines/qnnpack/weight_blocks.h"

#include <algorithm>
#include <cstring>

#include "engines/qnnpack/qnnpack_api.h"

namespace qconv {
namespace {

constexpr int64_t kBiasBytes = sizeof(int32_t);
constexpr int64_t kTapsPerPass = 10;

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t channels_at_once() {
  return pytorch_qnnp_params.q8conv.nr;
}
int64_t in_channels_at_once() {
  return pytorch_qnnp_params.q8conv.kr;
}
int64_t depthwise_channels_at_once() {
  return pytorch_qnnp_params.q8dw9.cr;
}

// int8 to uint8: adds 128.
uint8_t to_unsigned(int8_t value) {
  return static_cast<uint8_t>(value) ^ 0x80;
}

}  // namespace

TileBlocks::TileBlocks(const ConvGeometry& geometry)
    : groups_(geometry.groups),
      out_(geometry.out_channels_per_group()),
      taps_(geometry.kernel_taps()),
      blocks_((out_ + channels_at_once() - 1) / channels_at_once()),
      in_slots_(round_up(geometry.in_channels_per_group(), in_channels_at_once())) {}

int64_t TileBlocks::block_bytes() const {
  return channels_at_once() * (kBiasBytes + taps_ * in_slots_);
}

int64_t TileBlocks::bias_position(int64_t channel) const {
  const int64_t in_group = channel % out_;
  const int64_t block = channel / out_ * blocks_ + in_group / channels_at_once();
  return block * block_bytes() + in_group % channels_at_once() * kBiasBytes;
}

int64_t TileBlocks::row_position(int64_t channel, int64_t tap) const {
  const int64_t nr = channels_at_once();
  const int64_t in_group = channel % out_;
  const int64_t block = channel / out_ * blocks_ + in_group / nr;
  return block * block_bytes() + nr * (kBiasBytes + tap * in_slots_) +
      in_group % nr * in_channels_at_once();
}

int64_t TileBlocks::step(int64_t in_channel) const {
  const int64_t kr = in_channels_at_once();
  return in_channel / kr * kr * channels_at_once() + in_channel % kr;
}

DepthwiseBlocks::DepthwiseBlocks(const ConvGeometry& geometry)
    : slots_(geometry.kernel_taps() <= 9 ? 9 : 25),
      blocks_(
          (geometry.out_channels + depthwise_channels_at_once() - 1) /
          depthwise_channels_at_once()) {}

bool DepthwiseBlocks::has_kernel_for(const ConvGeometry& geometry) {
  return geometry.in_channels_per_group() == 1 && geometry.out_channels_per_group() == 1 &&
      geometry.groups > 1 && geometry.kernel_taps() <= 25;
}

int64_t DepthwiseBlocks::nbytes() const {
  return blocks_ * depthwise_channels_at_once() * (kBiasBytes + slots_);
}

int64_t DepthwiseBlocks::bias_position(int64_t channel) const {
  const int64_t cr = depthwise_channels_at_once();
  const int64_t first_pass = std::min(slots_, kTapsPerPass);
  return channel / cr * cr * (kBiasBytes + first_pass) + channel % cr * kBiasBytes;
}

int64_t DepthwiseBlocks::row_position(int64_t channel, int64_t tap) const {
  const int64_t cr = depthwise_channels_at_once();
  const int64_t first_tap = tap / kTapsPerPass * kTapsPerPass;
  const int64_t taps = std::min(slots_ - first_tap, kTapsPerPass);
  // The biases lie in the first pass's blocks; behind them they only shift where passes begin.
  const int64_t pass = first_tap == 0 ? 0 : blocks_ * cr * (kBiasBytes + first_tap);
  const int64_t bias = first_tap == 0 ? kBiasBytes : 0;
  return pass + channel / cr * cr * (bias + taps) + cr * (bias + tap - first_tap) + channel % cr;
}

WeightBytes pack_weight(
    const ConvDescription& conv, const WeightBlocks& blocks, const int8_t* grouped_weight) {
  const int64_t in = conv.geometry.in_channels_per_group();
  WeightBytes bytes(blocks.nbytes(), 0);
  for (int64_t channel = 0; channel < conv.geometry.out_channels; ++channel) {
    const auto zero_point =
        to_unsigned(static_cast<int8_t>(conv.weight.zero_points[conv.channel_index(channel)]));
    for (int64_t tap = 0; tap < blocks.tap_slots(); ++tap) {
      uint8_t* row = bytes.data() + blocks.row_position(channel, tap);
      const int64_t real = tap < conv.geometry.kernel_taps() ? in : 0;
      for (int64_t i = 0; i < real; ++i) {
        row[blocks.step(i)] = to_unsigned(*grouped_weight++);
      }
      for (int64_t i = real; i < blocks.in_channel_slots(); ++i) {
        row[blocks.step(i)] = zero_point;
      }
    }
  }
  return bytes;
}

void unpack_weight(
    const ConvGeometry& geometry, const WeightBlocks& blocks, const WeightBytes& bytes,
    int8_t* grouped_weight) {
  for (int64_t channel = 0; channel < geometry.out_channels; ++channel) {
    for (int64_t tap = 0; tap < geometry.kernel_taps(); ++tap) {
      const uint8_t* row = bytes.data() + blocks.row_position(channel, tap);
      for (int64_t i = 0; i < geometry.in_channels_per_group(); ++i) {
        *grouped_weight++ = static_cast<int8_t>(row[blocks.step(i)] ^ 0x80);
      }
    }
  }
}

void set_biases(
    const WeightBlocks& blocks, const std::vector<int32_t>& biases, WeightBytes& bytes) {
  for (size_t channel = 0; channel < biases.size(); ++channel) {
    const int64_t position = blocks.bias_position(static_cast<int64_t>(channel));
    std::memcpy(bytes.data() + position, &biases[channel], sizeof(int32_t));
  }
}

}  // namespace qconv
