#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string_view>

#include "conv/description.h"
#include "engines/choose_engine.h"

namespace qconv {

// A convolution as the plain-tensor ops give it; nothing is checked yet.
struct PlainWeight {
  at::Tensor weight;       // int8 [out, in/groups, kernel...]
  at::Tensor scales;       // float32 or float64, 1 or out elements
  at::Tensor zero_points;  // integers, 1 or out elements; undefined: all 0
  std::optional<at::Tensor> bias;
  Dims stride, padding, dilation;
  int64_t groups = 1;
};

struct PackedPlainConv {
  std::shared_ptr<const ConvDescription> conv;
  EnginePacking packing;
};

// The int8 weight, its scales and zero points, dtypes and sizes, and that all can be read, the bias
// as well. Raises ValueError or TypeError.
void check_plain_weight(std::string_view op, const PlainWeight& weight);

// Checks the rest as the prepack ops do, and packs.
// Raises ValueError, TypeError or NotImplementedError that start with `op`.
std::shared_ptr<const PackedPlainConv> pack_plain(
    std::string_view op, const PlainWeight& weight, const EngineRequest& engine);

// Whether a description is what pack_plain would make of these arguments: compares every number.
bool same_conv(const ConvDescription& conv, const PlainWeight& weight);

}  // namespace qconv
