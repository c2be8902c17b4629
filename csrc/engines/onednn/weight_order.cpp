#include "engines/onednn/weight_order.h"

#include "engines/onednn/conv_primitive.h"

namespace qconv::onednn {

at::Tensor to_plain_order(const at::Tensor& grouped_weight, const ConvGeometry& geometry) {
  return grouped_weight.movedim(-1, 2).reshape(weight_dims(geometry)).contiguous();
}

at::Tensor from_plain_order(const at::Tensor& plain, const ConvGeometry& geometry) {
  Dims with_groups{
      geometry.groups, geometry.out_channels_per_group(), geometry.in_channels_per_group()};
  with_groups.append(geometry.kernel.begin(), geometry.kernel.end());
  return plain.reshape(with_groups).movedim(2, -1).contiguous();
}

std::vector<float> execution_scales(const ConvDescription& conv) {
  const int64_t count = conv.weight.per_channel ? conv.geometry.out_channels : 1;
  std::vector<float> scales;
  scales.reserve(count);
  for (int64_t channel = 0; channel < count; ++channel) {
    scales.push_back(static_cast<float>(conv.weight.scales[conv.channel_index(channel)]));
  }
  return scales;
}

}  // namespace qconv::onednn
