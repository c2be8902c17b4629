#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>

#include <optional>
#include <string>
#include <string_view>

#include "plain/plain_weight.h"

namespace qconv {

// The arguments of a run on plain tensors, in the terms of PyTorch's onednn::qconv_pointwise;
// nothing is checked yet.
struct PointwiseCall {
  at::Tensor input;  // uint8 or int8 [batch, channels, spatial...]
  double input_scale = 1;
  int64_t input_zero_point = 0;
  PlainWeight weight;
  // Of uint8 and int8 outputs; 1 and 0 for others.
  double output_scale = 1;
  int64_t output_zero_point = 0;
  std::optional<c10::ScalarType> output_dtype;  // uint8 (the default), int8, float32 or bfloat16
  // The function applied last: "none", "relu", "hardtanh" with its two ends as scalars,
  // "leaky_relu" with its slope, "hardswish", "swish", "sigmoid" or "gelu".
  std::string function = "none";
  c10::List<std::optional<c10::Scalar>> scalars;
  std::optional<std::string> algorithm;  // of "gelu": "none" or "tanh"
};

// What the run with two operands adds.
struct BinaryCall {
  // "sum" and "sum_relu" write the result to the addend as well, "add" and "add_relu" don't.
  std::string attribute = "sum";
  at::Tensor addend;  // the output's dtype and size for "sum"; else also any other output dtype
  double scale = 1;
  int64_t zero_point = 0;
  std::optional<c10::Scalar> alpha;  // 1
};

// Convolves a plain tensor; returns the output in channels-last memory order. Packs the weight at
// the first run that has its scales, bias and shape arguments.
// Raises ValueError, TypeError or NotImplementedError that start with `op`.
// op_dims: spatial dimensions, or nullopt for an op that takes any.
at::Tensor run_pointwise(
    std::string_view op, std::optional<int> op_dims, const PointwiseCall& call,
    const std::optional<BinaryCall>& binary);

// Checks all that is known before the first run, and returns the weight to run with: a copy in
// channels-last memory order, whose first run packs it with the engine that is the default now.
// input_size: the size that the weight will mostly run with, or empty.
at::Tensor prepack_plain(
    std::string_view op, const PlainWeight& weight, double input_scale, int64_t input_zero_point,
    c10::OptionalIntArrayRef input_size);

}  // namespace qconv
