#include "engines/exact/tap_table.h"

namespace qconv {

TapTable::Axis TapTable::make_axis(const ConvGeometry& geometry, const RunShape& shape, int dim) {
  Axis axis{shape.input_size[dim], shape.output_size[dim], geometry.kernel[dim], {}};
  axis.coordinates.reserve(axis.output_size * axis.taps);
  const int64_t stride = geometry.stride[dim];
  for (int64_t output = 0; output < axis.output_size; ++output) {
    for (int64_t tap = 0; tap < axis.taps; ++tap) {
      const int64_t shift = tap * geometry.dilation[dim];
      int64_t input = output * stride - geometry.padding[dim] + shift;
      bool inside = true;
      if (geometry.transposed) {
        const int64_t place = output + geometry.padding[dim] - shift;
        inside = place >= 0 && place % stride == 0;
        input = place / stride;
      }
      inside = inside && input >= 0 && input < axis.input_size;
      axis.coordinates.push_back(inside ? input : kPadding);
    }
  }
  return axis;
}

TapTable::TapTable(const ConvGeometry& geometry, const RunShape& shape) {
  const int dims = geometry.spatial_dims();
  for (int dim = 0; dim < dims; ++dim) {
    axes_[3 - dims + dim] = make_axis(geometry, shape, dim);
  }
  for (const Axis& axis : axes_) {
    output_pixels_ *= axis.output_size;
    input_pixels_ *= axis.input_size;
  }
}

void TapTable::input_pixels(int64_t output_pixel, std::vector<int64_t>& per_tap) const {
  const auto& [depth, height, width] = axes_;
  const int64_t x = output_pixel % width.output_size;
  const int64_t y = output_pixel / width.output_size % height.output_size;
  const int64_t z = output_pixel / width.output_size / height.output_size;
  size_t tap = 0;
  for (int64_t kz = 0; kz < depth.taps; ++kz) {
    const int64_t in_z = depth.coordinates[z * depth.taps + kz];
    for (int64_t ky = 0; ky < height.taps; ++ky) {
      const int64_t in_y = height.coordinates[y * height.taps + ky];
      for (int64_t kx = 0; kx < width.taps; ++kx) {
        const int64_t in_x = width.coordinates[x * width.taps + kx];
        const bool inside = in_z != kPadding && in_y != kPadding && in_x != kPadding;
        per_tap[tap++] =
            inside ? (in_z * height.input_size + in_y) * width.input_size + in_x : kPadding;
      }
    }
  }
}

}  // namespace qconv
