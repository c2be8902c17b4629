#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "conv/check.h"
#include "conv/quantized_weight.h"
#include "state/config.h"
#include "state/saved_conv.h"

namespace qconv {
namespace {

bool fits_int16(int64_t value) {
  return value >= std::numeric_limits<int16_t>::min() &&
      value <= std::numeric_limits<int16_t>::max();
}

at::Tensor int16_tensor(const std::vector<int64_t>& values) {
  at::Tensor result =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kShort));
  std::transform(
      values.begin(), values.end(), result.mutable_data_ptr<int16_t>(),
      [](int64_t value) { return static_cast<int16_t>(value); });
  return result;
}

}  // namespace

c10::IValue write_state(
    std::string_view op, const UnpackedConv& conv, std::optional<int64_t> version) {
  const ConvGeometry& geometry = conv.description.geometry;
  const std::vector<int64_t> config =
      write_config(geometry, geometry.spatial_dims(), geometry.transposed ? kFlagTransposed : 0);
  const bool fits = std::all_of(config.begin(), config.end(), fits_int16);
  const int64_t chosen = version.value_or(fits ? 2 : 3);
  QCONV_CHECK_VALUE(chosen == 2 || chosen == 3, op, "version must be 2 or 3, got ", chosen);
  QCONV_CHECK_VALUE(
      chosen == 3 || fits, op, "version 2 holds int16 values only, got stride ", geometry.stride,
      ", padding ", geometry.padding, ", dilation ", geometry.dilation, ", output_padding ",
      geometry.output_padding, ", groups ", geometry.groups, "; write version 3");
  at::Tensor weight =
      make_quantized_weight(conv.weight, conv.description.weight, geometry.transposed);
  std::optional<at::Tensor> bias = bias_tensor(conv.description);
  if (chosen == 2) {
    return StateV2{"2", {int16_tensor(config), std::move(weight)}, {std::move(bias)}};
  }
  return StateV3{3, config, {std::nullopt, std::move(weight), std::move(bias)}};
}

}  // namespace qconv
