#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "conv/geometry.h"

namespace qconv {

// How the int8 weight maps to real numbers: real = (q - zero_point) * scale.
struct WeightQuantization {
  bool per_channel = false;
  // One entry, or one per entry of the weight's channel axis: 0 forward, 1 transposed. A transposed
  // weight has out_channels/groups of them, shared by all groups.
  std::vector<double> scales;
  std::vector<int32_t> zero_points;

  int channel_axis(bool transposed) const { return transposed ? 1 : 0; }
  bool symmetric() const;
};

// One quantized convolution, all but its int8 weights. Engines get it checked or not at all.
struct ConvDescription {
  ConvGeometry geometry;
  WeightQuantization weight;
  std::optional<std::vector<float>> bias;  // real numbers, one per output channel

  // Per output channel: entry of weight.scales and weight.zero_points that belongs to it.
  size_t channel_index(int64_t out_channel) const;
  int64_t nbytes() const;
};

// A convolution as a caller or a saved state gives it; nothing is checked yet.
struct ConvArguments {
  int conv_dims = 2;
  bool transposed = false;
  // qint8, or int8 where `quantization` comes beside it; forward [out, in/groups, kernel...],
  // transposed [in, out/groups, kernel...]
  at::Tensor weight;
  std::optional<WeightQuantization> quantization;
  std::optional<at::Tensor> bias;  // float32 [out]
  std::vector<int64_t> stride, padding, output_padding, dilation;
  int64_t groups = 1;
  bool may_run_as_1d = false;
};

// PyTorch stores 1-D as 2-D and doesn't say so: a 2-D convolution whose height does nothing may
// have been 1-D.
bool may_have_been_1d(const ConvArguments& arguments);

struct CheckedConv {
  ConvDescription description;
  // The weight's integers as a plain int8 tensor that shares the caller's memory, of any strides;
  // a 1-D weight has the height of 1 inserted.
  at::Tensor weight;
};

// The one door to an engine: checks everything about a convolution that doesn't depend on its
// input. Raises ValueError, TypeError or NotImplementedError that start with `op`.
CheckedConv check_conv(std::string_view op, const ConvArguments& arguments);

}  // namespace qconv
