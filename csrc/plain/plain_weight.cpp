#include "plain/plain_weight.h"

#include <ATen/Dispatch.h>

#include <algorithm>

#include "conv/check.h"
#include "conv/check_tensor.h"

namespace qconv {
namespace {

void check_per_channel(
    std::string_view op, const char* name, const at::Tensor& values, int64_t out_channels) {
  QCONV_CHECK_VALUE(
      values.dim() <= 1 && (values.numel() == 1 || values.numel() == out_channels), op, name,
      " must have 1 element or one for each of the ", out_channels, " output channels, got size ",
      values.sizes());
}

// Calls use(values, stride) with the elements of a tensor of any strides with at most one
// dimension; stride 0 where one element serves every channel.
template <typename Element, typename Use>
auto with_values(const at::Tensor& tensor, const Use& use) {
  const int64_t stride = tensor.numel() == 1 ? 0 : tensor.stride(0);
  return use(tensor.const_data_ptr<Element>(), stride);
}

template <typename Use>
auto with_scales(const at::Tensor& scales, const Use& use) {
  return scales.scalar_type() == at::kFloat ? with_values<float>(scales, use)
                                            : with_values<double>(scales, use);
}

// Undefined zero points are all 0.
template <typename Use>
auto with_zero_points(const at::Tensor& zero_points, const Use& use) {
  static constexpr int64_t kZero = 0;
  if (!zero_points.defined()) {
    return use(&kZero, int64_t{0});
  }
  return AT_DISPATCH_INTEGRAL_TYPES(zero_points.scalar_type(), "weight zero points", [&] {
    return with_values<scalar_t>(zero_points, use);
  });
}

// Compares without a branch, so that the loop is vectorized.
template <typename Packed>
auto equal_to(const std::vector<Packed>& packed) {
  return [&packed](const auto* given, int64_t stride) {
    bool equal = true;
    for (size_t i = 0; i < packed.size(); ++i) {
      equal &= packed[i] == given[static_cast<int64_t>(i) * stride];
    }
    return equal;
  };
}

bool per_channel(const PlainWeight& weight) {
  return weight.scales.numel() > 1 ||
      (weight.zero_points.defined() && weight.zero_points.numel() > 1);
}

bool equal(const Dims& packed, const Dims& given) {
  return packed.size() >= given.size() &&
      std::equal(given.begin(), given.end(), packed.end() - given.size());
}

bool same_bias(
    const std::optional<std::vector<float>>& packed, const std::optional<at::Tensor>& given) {
  if (packed.has_value() != given.has_value()) {
    return false;
  }
  if (!given) {
    return true;
  }
  if (given->scalar_type() != at::kFloat || given->dim() != 1 || given->is_neg() ||
      given->numel() != static_cast<int64_t>(packed->size())) {
    return false;
  }
  return with_values<float>(*given, equal_to(*packed));
}

}  // namespace

void check_plain_weight(std::string_view op, const PlainWeight& arguments) {
  const at::Tensor& weight = arguments.weight;
  check_readable(op, "weight", weight);
  QCONV_CHECK_TYPE(
      weight.scalar_type() == at::kChar, op, "weight must have dtype torch.int8, got ",
      dtype_name(weight));
  QCONV_CHECK_VALUE(
      weight.dim() >= 3 && weight.dim() <= 5, op,
      "weight must have 3 to 5 dimensions [out_channels, in_channels/groups, kernel...], got ",
      weight.dim(), " (size ", weight.sizes(), ")");
  const at::Tensor& scales = arguments.scales;
  check_readable(op, "weight scales", scales);
  QCONV_CHECK_TYPE(
      scales.scalar_type() == at::kFloat || scales.scalar_type() == at::kDouble, op,
      "weight scales must have dtype torch.float32 or torch.float64, got ", dtype_name(scales));
  check_per_channel(op, "weight scales", scales, weight.size(0));
  if (arguments.zero_points.defined()) {
    check_readable(op, "weight zero points", arguments.zero_points);
    QCONV_CHECK_TYPE(
        at::isIntegralType(arguments.zero_points.scalar_type(), /*includeBool=*/false), op,
        "weight zero points must have an integer dtype, got ", dtype_name(arguments.zero_points));
    check_per_channel(op, "weight zero points", arguments.zero_points, weight.size(0));
  }
  if (arguments.bias) {
    check_readable(op, "bias", *arguments.bias);
  }
}

std::shared_ptr<const PackedPlainConv> pack_plain(
    std::string_view op, const PlainWeight& weight, const EngineRequest& engine) {
  check_plain_weight(op, weight);
  const bool channels = per_channel(weight);
  const int64_t entries = channels ? weight.weight.size(0) : 1;
  WeightQuantization quantization;
  quantization.per_channel = channels;
  with_scales(weight.scales, [&](const auto* values, int64_t stride) {
    for (int64_t i = 0; i < entries; ++i) {
      quantization.scales.push_back(values[i * stride]);
    }
  });
  with_zero_points(weight.zero_points, [&](const auto* values, int64_t stride) {
    for (int64_t i = 0; i < entries; ++i) {
      const auto zero_point = static_cast<int64_t>(values[i * stride]);
      QCONV_CHECK_VALUE(
          zero_point >= -128 && zero_point <= 127, op, "weight zero point of channel ", i,
          " must be in [-128, 127], got ", zero_point);
      quantization.zero_points.push_back(static_cast<int32_t>(zero_point));
    }
  });
  ConvArguments arguments;
  arguments.conv_dims = static_cast<int>(weight.weight.dim()) - 2;
  arguments.weight = weight.weight.resolve_neg();
  arguments.quantization = std::move(quantization);
  arguments.bias = weight.bias;
  arguments.stride.assign(weight.stride.begin(), weight.stride.end());
  arguments.padding.assign(weight.padding.begin(), weight.padding.end());
  arguments.output_padding.assign(arguments.conv_dims, 0);
  arguments.dilation.assign(weight.dilation.begin(), weight.dilation.end());
  arguments.groups = weight.groups;
  CheckedConv checked = check_conv(op, arguments);
  auto conv = std::make_shared<const ConvDescription>(std::move(checked.description));
  EnginePacking packing = pack_with_engine(op, engine, conv, checked.weight);
  return std::make_shared<const PackedPlainConv>(
      PackedPlainConv{std::move(conv), std::move(packing)});
}

bool same_conv(const ConvDescription& conv, const PlainWeight& weight) {
  const ConvGeometry& geometry = conv.geometry;
  const auto lists_have = [&](size_t size) {
    return weight.stride.size() == size && weight.padding.size() == size &&
        weight.dilation.size() == size;
  };
  return lists_have(geometry.conv_dims) && equal(geometry.stride, weight.stride) &&
      equal(geometry.padding, weight.padding) && equal(geometry.dilation, weight.dilation) &&
      geometry.groups == weight.groups && conv.weight.per_channel == per_channel(weight) &&
      same_bias(conv.bias, weight.bias) &&
      with_scales(weight.scales, equal_to(conv.weight.scales)) &&
      with_zero_points(weight.zero_points, equal_to(conv.weight.zero_points));
}

}  // namespace qconv
