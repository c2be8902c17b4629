#pragma once

#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "conv/description.h"

namespace qconv {

// Saved states of packed convolutions; docs/saved_formats.md tells their history.
//   1  (weight, bias or None, [stride tensors], [padding tensors], [dilation tensors], groups
//   tensor) 2  ("2", [int16 config tensor, weight], [bias or None]) 3  (3, [config ints], [None,
//   weight, bias or None]) plain  (kPlainTag, engine name, [config ints], [int8 weight, scales,
//   zero points, bias or None])
// PyTorch writes and reads 1 to 3. The plain state has no quantized tensor in it, so it needs none
// of PyTorch's code for them, and travels between processes however they were started.
inline constexpr const char* kPlainTag = "torch_qconv_prepack.1";

struct SavedConv {
  ConvArguments arguments;
  std::optional<std::string> engine;  // the plain state names the engine that packed it
};

// What a writer needs: a convolution with its integers, int8 and contiguous.
struct UnpackedConv {
  const ConvDescription& description;
  at::Tensor weight;
  std::string engine;
};

using StateV2 =
    std::tuple<std::string, std::vector<at::Tensor>, std::vector<std::optional<at::Tensor>>>;
using StateV3 = std::tuple<int64_t, std::vector<int64_t>, std::vector<std::optional<at::Tensor>>>;
using PlainState = std::tuple<std::string, std::string, std::vector<int64_t>, std::string>;

// Checks the form of a state of any version: element counts, types, lengths, dimensions. What the
// values mean is for check_conv. spatial_dims: 2 (1-D and 2-D) or 3.
// Raises ValueError or TypeError that start with `op`.
SavedConv read_state(std::string_view op, const c10::IValue& state, int spatial_dims);

// A state that PyTorch reads. version: 2, 3, or nullopt for 2 where every value fits int16 and 3
// where one doesn't. Raises ValueError for another version, or where 2 can't hold the values.
c10::IValue write_state(
    std::string_view op, const UnpackedConv& conv, std::optional<int64_t> version);

PlainState write_plain_state(const UnpackedConv& conv);
// Part of read_state.
SavedConv read_plain_state(std::string_view op, const c10::IValue& state);

}  // namespace qconv
