#include "engines/onednn/conv_primitive.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "engines/onednn/implementation_guard.h"

namespace qconv::onednn {
namespace {

using dnnl::memory;

memory::data_type data_type(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Byte:
      return memory::data_type::u8;
    case c10::ScalarType::Char:
      return memory::data_type::s8;
    case c10::ScalarType::BFloat16:
      return memory::data_type::bf16;
    default:
      return memory::data_type::f32;
  }
}

memory::dims to_dims(const Dims& values) {
  return {values.begin(), values.end()};
}

memory::desc image_desc(int64_t batch, int64_t channels, const Dims& size, memory::data_type type) {
  memory::dims dims{batch, channels};
  dims.insert(dims.end(), size.begin(), size.end());
  return {dims, type, size.size() == 2 ? memory::format_tag::nhwc : memory::format_tag::ndhwc};
}

dnnl::post_ops post_ops(const PrimitiveKey& key) {
  dnnl::post_ops ops;
  if (key.adds) {
    ops.append_sum(key.addend_scale, key.addend_zero_point, data_type(key.addend));
  }
  switch (key.function) {
    case PointwiseFunction::kNone:
      break;
    case PointwiseFunction::kRelu:
      ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
      break;
    case PointwiseFunction::kHardtanh:
      ops.append_eltwise(dnnl::algorithm::eltwise_clip, key.lower, key.upper);
      break;
    case PointwiseFunction::kHardswish:  // x * clamp(alpha * x + beta, 0, 1)
      ops.append_eltwise(dnnl::algorithm::eltwise_hardswish, 1.0F / 6, 0.5F);
      break;
    case PointwiseFunction::kSwish:
      ops.append_eltwise(dnnl::algorithm::eltwise_swish, 1, 0);
      break;
    case PointwiseFunction::kLeakyRelu:
      ops.append_eltwise(dnnl::algorithm::eltwise_relu, key.slope, 0);
      break;
    case PointwiseFunction::kSigmoid:
      ops.append_eltwise(dnnl::algorithm::eltwise_logistic, 0, 0);
      break;
    case PointwiseFunction::kGelu:
      ops.append_eltwise(dnnl::algorithm::eltwise_gelu_erf, 0, 0);
      break;
    case PointwiseFunction::kGeluTanh:
      ops.append_eltwise(dnnl::algorithm::eltwise_gelu_tanh, 0, 0);
      break;
  }
  return ops;
}

dnnl::primitive_attr attributes(const ConvDescription& conv, const PrimitiveKey& key) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_scales_mask(DNNL_ARG_SRC, 0);
  // A bit for each dimension of the weight along which scales differ.
  const int per_channel = conv.geometry.groups > 1 ? 0b11 : 0b1;
  attributes.set_scales_mask(DNNL_ARG_WEIGHTS, conv.weight.per_channel ? per_channel : 0);
  attributes.set_zero_points_mask(DNNL_ARG_SRC, 0);
  if (c10::isIntegralType(key.output, /*includeBool=*/false)) {
    attributes.set_scales_mask(DNNL_ARG_DST, 0);
    attributes.set_zero_points_mask(DNNL_ARG_DST, 0);
  }
  attributes.set_post_ops(post_ops(key));
  return attributes;
}

// The first of oneDNN's implementations, or nullptr.
dnnl_primitive_desc_t first_implementation(
    const ConvDescription& conv, const RunShape& shape, const PrimitiveKey& key,
    const memory::desc* weight) {
  const ConvGeometry& geometry = conv.geometry;
  const auto source =
      image_desc(shape.batch, geometry.in_channels, shape.input_size, memory::data_type::u8);
  const auto destination =
      image_desc(shape.batch, geometry.out_channels, shape.output_size, data_type(key.output));
  const memory::desc any(weight_dims(geometry), memory::data_type::s8, memory::format_tag::any);
  const memory::desc bias({geometry.out_channels}, memory::data_type::f32, memory::format_tag::x);
  memory::dims dilation = to_dims(geometry.dilation);
  memory::dims padding_after = to_dims(geometry.padding);
  for (size_t i = 0; i < dilation.size(); ++i) {
    dilation[i] -= 1;  // oneDNN counts the gaps
    padding_after[i] -= geometry.transposed ? geometry.output_padding[i] : 0;
  }
  dnnl_primitive_desc_t result = nullptr;
  const auto create = geometry.transposed ? dnnl_deconvolution_forward_primitive_desc_create
                                          : dnnl_convolution_forward_primitive_desc_create;
  const dnnl_status_t status = create(
      &result, cpu().get(), dnnl_forward_inference,
      geometry.transposed ? dnnl_deconvolution_direct : dnnl_convolution_direct, source.get(),
      (weight != nullptr ? *weight : any).get(), conv.bias ? bias.get() : nullptr,
      destination.get(), geometry.stride.data(), dilation.data(), geometry.padding.data(),
      padding_after.data(), attributes(conv, key).get());
  if (status == dnnl_unimplemented || status == dnnl_invalid_arguments) {
    return nullptr;
  }
  check(status, "could not describe a convolution");
  return result;
}

}  // namespace

PrimitiveKey primitive_key(
    const RunShape& shape, const Epilogue& epilogue, c10::ScalarType output) {
  PrimitiveKey key;
  key.batch = shape.batch;
  std::copy(shape.input_size.begin(), shape.input_size.end(), key.input_size.begin());
  key.threads = at::get_num_threads();
  key.output = output;
  key.function = epilogue.function;
  if (epilogue.function == PointwiseFunction::kHardtanh) {
    key.lower = static_cast<float>(epilogue.lower);
    key.upper = static_cast<float>(epilogue.upper);
  }
  if (epilogue.function == PointwiseFunction::kLeakyRelu) {
    key.slope = static_cast<float>(epilogue.slope);
  }
  if (epilogue.addend) {
    key.adds = true;
    key.addend = epilogue.addend->dtype;
    if (c10::isIntegralType(key.addend, /*includeBool=*/false)) {
      key.addend_scale = static_cast<float>(epilogue.addend->quantization.scale);
      key.addend_zero_point = epilogue.addend->quantization.zero_point;
    }
  }
  return key;
}

memory::dims weight_dims(const ConvGeometry& geometry) {
  memory::dims dims;
  if (geometry.groups > 1) {
    dims.push_back(geometry.groups);
  }
  dims.push_back(geometry.out_channels_per_group());
  dims.push_back(geometry.in_channels_per_group());
  dims.insert(dims.end(), geometry.kernel.begin(), geometry.kernel.end());
  return dims;
}

std::optional<dnnl::primitive_desc> find_implementation(
    const ConvDescription& conv, bool no_pair_saturates, const RunShape& shape,
    const PrimitiveKey& key, const memory::desc* weight, Accept accept) {
  dnnl_primitive_desc_t first = first_implementation(conv, shape, key, weight);
  if (first == nullptr) {
    return std::nullopt;
  }
  // The classes differ in what they ask of the library; what is used here they have in common.
  dnnl::primitive_desc candidate;
  if (conv.geometry.transposed) {
    candidate = dnnl::deconvolution_forward::primitive_desc(first);
  } else {
    candidate = dnnl::convolution_forward::primitive_desc(first);
  }
  do {
    if (is_right(candidate.impl_info_str(), conv.geometry, no_pair_saturates) &&
        accept(candidate)) {
      return candidate;
    }
  } while (candidate.next_impl());
  return std::nullopt;
}

}  // namespace qconv::onednn
