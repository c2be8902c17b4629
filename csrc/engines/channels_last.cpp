#include "engines/channels_last.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>

#include "engines/convolve.h"

namespace qconv {

at::Tensor integer_view(const at::Tensor& quantized) {
  return at::from_blob(
      quantized.data_ptr(), quantized.sizes(), quantized.strides(),
      at::TensorOptions().dtype(c10::toUnderlying(quantized.scalar_type())));
}

at::Tensor to_channels_last(const at::Tensor& tensor) {
  return tensor.movedim(1, -1).contiguous();
}

Dims channels_last_sizes(int op_dims, const ConvGeometry& geometry, const RunShape& shape) {
  Dims sizes = output_sizes(op_dims, geometry, shape);
  sizes.erase(sizes.begin() + 1);
  sizes.push_back(geometry.out_channels);
  return sizes;
}

PreparedActivation prepare_activation(
    const at::Tensor& integers, double scale, int64_t zero_point) {
  PreparedActivation result;
  result.memory = to_channels_last(integers);
  result.view.scale = scale;
  result.view.zero_point = static_cast<int32_t>(zero_point);
  if (integers.scalar_type() == at::kChar) {
    const at::Tensor shifted = at::empty_like(result.memory, at::TensorOptions().dtype(at::kByte));
    flip_sign_bits(
        static_cast<const uint8_t*>(result.memory.const_data_ptr()), shifted.numel(),
        shifted.mutable_data_ptr<uint8_t>());
    result.memory = shifted;
    result.view.zero_point += kSignedToUnsigned;
  }
  result.view.data = result.memory.const_data_ptr<uint8_t>();
  return result;
}

}  // namespace qconv
