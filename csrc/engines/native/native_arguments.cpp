#include "engines/native/native_arguments.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace qconv {

native::Extent to_extent(const Dims& dims, int64_t missing) {
  native::Extent extent{missing, missing, missing};
  std::copy(dims.begin(), dims.end(), extent.end() - static_cast<int64_t>(dims.size()));
  return extent;
}

native::Convolution to_native(const ConvGeometry& geometry) {
  native::Convolution conv;
  conv.spatial_dims = geometry.conv_dims;
  conv.transposed = geometry.transposed;
  conv.in_channels = geometry.in_channels;
  conv.out_channels = geometry.out_channels;
  conv.groups = geometry.groups;
  conv.kernel = to_extent(geometry.kernel, 1);
  conv.stride = to_extent(geometry.stride, 1);
  conv.padding = to_extent(geometry.padding, 0);
  conv.output_padding = to_extent(geometry.output_padding, 0);
  conv.dilation = to_extent(geometry.dilation, 1);
  return conv;
}

native::WeightStrides to_native_strides(const ConvGeometry& geometry, c10::IntArrayRef strides) {
  native::WeightStrides result;
  // A group is a range of the first dimension.
  if (geometry.transposed) {
    result.group = geometry.in_channels_per_group() * strides[0];
    result.in_channel = strides[0];
    result.out_channel = strides[1];
  } else {
    result.group = geometry.out_channels_per_group() * strides[0];
    result.out_channel = strides[0];
    result.in_channel = strides[1];
  }
  // The dimensions that a convolution lacks have one entry, whose stride doesn't matter.
  const size_t dims = strides.size() - 2;
  for (size_t i = 0; i < dims; ++i) {
    result.kernel[result.kernel.size() - dims + i] = strides[2 + i];
  }
  return result;
}

native::RunInput to_native(const RunShape& shape, const Activation& input) {
  native::RunInput result;
  result.data = input.data;
  result.type = input.is_signed ? native::ElementType::kInt8 : native::ElementType::kUint8;
  result.batch = shape.batch;
  result.size = to_extent(shape.input_size, 1);
  result.scale = input.scale;
  result.zero_point = input.zero_point;
  return result;
}

native::ParallelFor torch_parallel_for() {
  native::ParallelFor result;
  result.run = [](int64_t count, native::ParallelFor::Body body, void* context) {
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) { body(context, begin, end); });
  };
  result.threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  return result;
}

}  // namespace qconv
