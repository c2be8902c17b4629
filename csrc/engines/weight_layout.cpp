#include "engines/weight_layout.h"

#include <ATen/ops/empty.h>

namespace qconv {
namespace {

// [groups, first/groups, second, kernel...] of a weight [first, second, kernel...].
Dims grouped_sizes(int64_t groups, int64_t first, int64_t second, const Dims& kernel) {
  Dims sizes{groups, first / groups, second};
  sizes.append(kernel.begin(), kernel.end());
  return sizes;
}

Dims sizes_of_weight(const ConvGeometry& geometry) {
  Dims sizes;
  if (geometry.transposed) {
    sizes = {geometry.in_channels, geometry.out_channels_per_group()};
  } else {
    sizes = {geometry.out_channels, geometry.in_channels_per_group()};
  }
  sizes.append(geometry.kernel.begin(), geometry.kernel.end());
  return sizes;
}

}  // namespace

at::Tensor to_grouped_channels_last(const at::Tensor& weight, const ConvGeometry& geometry) {
  // Forward weights are [g, out/g, in/g, kernel...], transposed ones [g, in/g, out/g, kernel...].
  at::Tensor grouped = weight.reshape(
      grouped_sizes(geometry.groups, weight.size(0), weight.size(1), geometry.kernel));
  if (geometry.transposed) {
    grouped = grouped.transpose(1, 2);
  }
  return grouped.movedim(2, -1).contiguous();
}

at::Tensor from_grouped_channels_last(const at::Tensor& packed, const ConvGeometry& geometry) {
  at::Tensor grouped = packed.movedim(-1, 2);
  if (geometry.transposed) {
    grouped = grouped.transpose(1, 2);
  }
  return grouped.reshape(sizes_of_weight(geometry)).contiguous();
}

at::Tensor empty_grouped_channels_last(const ConvGeometry& geometry) {
  Dims sizes{geometry.groups, geometry.out_channels_per_group()};
  sizes.append(geometry.kernel.begin(), geometry.kernel.end());
  sizes.push_back(geometry.in_channels_per_group());
  return at::empty(sizes, at::TensorOptions().dtype(at::kChar));
}

}  // namespace qconv
