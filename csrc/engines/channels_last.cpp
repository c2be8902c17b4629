#include "engines/channels_last.h"

#include <ATen/EmptyTensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/quantized/QTensorImpl.h>
#include <ATen/quantized/Quantizer.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>

#include "engines/convolve.h"
#include "engines/native/native_arguments.h"
#include "native/run/transpose.h"

namespace qconv {
namespace {

// Calls use(dimension) for those of a tensor [batch, channels, spatial...], innermost in
// channels-last memory first.
template <typename Use>
void for_each_dimension_outwards(size_t dimensions, const Use& use) {
  use(1);
  for (size_t i = dimensions - 1; i >= 2; --i) {
    use(i);
  }
  use(0);
}

bool lies_channels_last(const at::Tensor& tensor) {
  const c10::IntArrayRef sizes = tensor.sizes();
  const c10::IntArrayRef strides = tensor.strides();
  bool result = !tensor.is_neg();
  int64_t stride = 1;
  for_each_dimension_outwards(sizes.size(), [&](size_t i) {
    // The stride of a dimension with one entry is never used.
    result = result && (sizes[i] == 1 || strides[i] == stride);
    stride *= sizes[i];
  });
  return result;
}

Sizes channels_last_strides(const Sizes& sizes) {
  Sizes strides(sizes.size(), 0);
  int64_t stride = 1;
  for_each_dimension_outwards(sizes.size(), [&](size_t i) {
    strides[i] = stride;
    stride *= std::max<int64_t>(sizes[i], 1);
  });
  return strides;
}

// The integers of a quantized tensor as a plain tensor that shares its memory.
at::Tensor integer_view(const at::Tensor& quantized) {
  return at::from_blob(
      quantized.data_ptr(), quantized.sizes(), quantized.strides(),
      at::TensorOptions().dtype(c10::toUnderlying(quantized.scalar_type())));
}

// Whether the elements of each channel follow each other.
bool has_dense_channels(const at::Tensor& tensor) {
  int64_t stride = 1;
  for (int64_t i = tensor.dim() - 1; i >= 2; --i) {
    if (tensor.size(i) != 1 && tensor.stride(i) != stride) {
      return false;
    }
    stride *= tensor.size(i);
  }
  return true;
}

at::Tensor transposed_bytes(const at::Tensor& tensor) {
  native::ChannelsFirst activation;
  activation.data = static_cast<const uint8_t*>(tensor.const_data_ptr());
  activation.batch = tensor.size(0);
  activation.channels = tensor.size(1);
  activation.pixels = tensor.numel() / (activation.batch * activation.channels);
  activation.image_stride = tensor.stride(0);
  activation.channel_stride = tensor.stride(1);
  at::Tensor copy = at::detail::empty_cpu({tensor.numel()}, at::kByte);
  native::bring_channels_last(activation, copy.mutable_data_ptr<uint8_t>(), torch_parallel_for());
  return copy;
}

// Of any elements in any order.
at::Tensor copied_channels_last(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.is_quantized() ? integer_view(tensor) : tensor.resolve_neg();
  return plain.movedim(1, -1).contiguous();
}

}  // namespace

ChannelsLast to_channels_last(const at::Tensor& tensor) {
  if (lies_channels_last(tensor)) {
    return {tensor.const_data_ptr(), {}};
  }
  const bool has_rows_of_bytes =
      tensor.element_size() == 1 && tensor.numel() > 0 && has_dense_channels(tensor);
  at::Tensor copy = has_rows_of_bytes ? transposed_bytes(tensor) : copied_channels_last(tensor);
  const void* data = copy.const_data_ptr();
  return {data, std::move(copy)};
}

PreparedActivation prepare_activation(
    const PackedConv& packed, const at::Tensor& activation,
    const ActivationQuantization& quantization) {
  ChannelsLast memory = to_channels_last(activation);
  PreparedActivation result;
  result.view.data = static_cast<const uint8_t*>(memory.data);
  result.view.scale = quantization.scale;
  result.view.zero_point = quantization.zero_point;
  result.copy = std::move(memory.copy);
  result.view.is_signed = c10::toUnderlying(activation.scalar_type()) == at::kChar;
  if (result.view.is_signed && !packed.takes_int8()) {
    const int64_t count = activation.numel();
    at::Tensor shifted = at::detail::empty_cpu({count}, at::kByte);
    flip_sign_bits(result.view.data, count, shifted.mutable_data_ptr<uint8_t>());
    result.view.data = shifted.const_data_ptr<uint8_t>();
    result.view.is_signed = false;
    result.view.zero_point += kSignedToUnsigned;
    result.copy = std::move(shifted);
  }
  return result;
}

at::Tensor empty_output(
    int op_dims, const ConvGeometry& geometry, const RunShape& shape, c10::ScalarType dtype) {
  const Sizes sizes = output_sizes(op_dims, geometry, shape);
  return at::detail::empty_strided_cpu(sizes, channels_last_strides(sizes), dtype);
}

at::Tensor empty_quantized_output(
    int op_dims, const ConvGeometry& geometry, const RunShape& shape, c10::ScalarType dtype,
    double scale, int64_t zero_point) {
  const Sizes sizes = output_sizes(op_dims, geometry, shape);
  const size_t bytes = c10::multiply_integers(sizes) * c10::elementSize(dtype);
  c10::Allocator* allocator = c10::GetCPUAllocator();
  auto storage = c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), bytes, allocator, /*resizable=*/true);
  at::Tensor result = at::detail::make_tensor<at::QTensorImpl>(
      std::move(storage), c10::DispatchKeySet(c10::DispatchKey::QuantizedCPU),
      c10::scalarTypeToTypeMeta(dtype),
      c10::make_intrusive<at::PerTensorAffineQuantizer>(dtype, scale, zero_point));
  result.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, channels_last_strides(sizes));
  return result;
}

}  // namespace qconv
