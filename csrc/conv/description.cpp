#include "conv/description.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "conv/check.h"
#include "conv/check_tensor.h"
#include "conv/check_weight.h"

namespace qconv {
namespace {

// The integers of a qint8 or int8 tensor without a copy. The tensor must outlive the result.
at::Tensor int8_view(const at::Tensor& weight, bool insert_height) {
  Dims sizes(weight.sizes().begin(), weight.sizes().end());
  Dims strides(weight.strides().begin(), weight.strides().end());
  if (insert_height) {
    sizes.insert(sizes.begin() + 2, 1);
    strides.insert(strides.begin() + 2, sizes[3] * strides[2]);
  }
  return at::from_blob(weight.data_ptr(), sizes, strides, at::TensorOptions().dtype(at::kChar));
}

}  // namespace

bool WeightQuantization::symmetric() const {
  return std::all_of(
      zero_points.begin(), zero_points.end(), [](int32_t zero_point) { return zero_point == 0; });
}

size_t ConvDescription::channel_index(int64_t out_channel) const {
  return weight.per_channel ? static_cast<size_t>(out_channel) % weight.scales.size() : 0;
}

int64_t ConvDescription::nbytes() const {
  return static_cast<int64_t>(
      weight.scales.size() * sizeof(double) + weight.zero_points.size() * sizeof(int32_t) +
      (bias ? bias->size() * sizeof(float) : 0));
}

bool may_have_been_1d(const ConvArguments& arguments) {
  const auto first_is = [](const std::vector<int64_t>& list, int64_t value) {
    return list.size() == 2 && list[0] == value;
  };
  return arguments.weight.defined() && arguments.weight.dim() == 4 &&
      arguments.weight.size(2) == 1 && first_is(arguments.stride, 1) &&
      first_is(arguments.padding, 0) && first_is(arguments.output_padding, 0) &&
      first_is(arguments.dilation, 1);
}

CheckedConv check_conv(std::string_view op, const ConvArguments& arguments) {
  if (!arguments.quantization) {
    check_quantized_weight(op, arguments.weight);
  }
  CheckedConv result;
  ConvDescription& description = result.description;
  description.geometry = check_geometry(
      op, arguments.conv_dims, arguments.transposed, arguments.weight.sizes(),
      {arguments.stride, arguments.padding, arguments.output_padding, arguments.dilation,
       arguments.groups});
  description.geometry.may_run_as_1d = arguments.may_run_as_1d;
  description.weight = arguments.quantization
      ? *arguments.quantization
      : quantization_of(op, arguments.weight, arguments.transposed);
  check_weight_quantization(op, description.weight);
  if (arguments.bias.has_value()) {
    description.bias = check_bias(op, *arguments.bias, description.geometry.out_channels);
  }
  result.weight = int8_view(arguments.weight, arguments.conv_dims == 1);
  return result;
}

}  // namespace qconv
