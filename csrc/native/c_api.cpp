// Packing, checking and unpacking for C; what runs is in c_api_run.cpp.
#include <algorithm>
#include <memory>

#include "native/c_api_status.h"
#include "native/cpu/instruction_set.h"
#include "native/format/pack.h"
#include "native/format/unpack.h"

namespace qconv::native {
namespace {

Extent extent_of(const int64_t (&values)[3]) {
  return {values[0], values[1], values[2]};
}

PackSource source_of(const qconv_convolution* conv, const qconv_weight* weight) {
  check_not_null(conv, "conv");
  check_not_null(weight, "weight");
  PackSource source;
  source.conv.spatial_dims = conv->spatial_dims;
  source.conv.transposed = conv->transposed != 0;
  source.conv.in_channels = conv->in_channels;
  source.conv.out_channels = conv->out_channels;
  source.conv.groups = conv->groups;
  source.conv.kernel = extent_of(conv->kernel);
  source.conv.stride = extent_of(conv->stride);
  source.conv.padding = extent_of(conv->padding);
  source.conv.output_padding = extent_of(conv->output_padding);
  source.conv.dilation = extent_of(conv->dilation);
  source.weight = weight->data;
  const int64_t* const strides = weight->strides;
  source.strides = {strides[0], strides[1], strides[2], {strides[3], strides[4], strides[5]}};
  source.scales = weight->scales;
  source.scales_per_channel = weight->scales_per_channel != 0;
  source.zero_points = weight->zero_points;
  source.zero_points_per_channel = weight->zero_points_per_channel != 0;
  source.bias = weight->bias;
  return source;
}

void copy_extent(const Extent& extent, int64_t (&values)[3]) {
  std::copy(extent.begin(), extent.end(), values);
}

}  // namespace
}  // namespace qconv::native

using namespace qconv::native;

qconv_status qconv_packed_size(
    const qconv_convolution* conv, const qconv_weight* weight, size_t* size, char* message,
    size_t message_size) {
  return status_of(message, message_size, [&] {
    check_not_null(size, "size");
    *size = packed_size(source_of(conv, weight));
  });
}

qconv_status qconv_pack(
    const qconv_convolution* conv, const qconv_weight* weight, void* buffer, size_t size,
    char* message, size_t message_size) {
  return status_of(message, message_size, [&] {
    PackSource source = source_of(conv, weight);
    check_not_null(buffer, "buffer");
    packed_size(source);  // checks the shape that strides are computed from
    if (source.strides == WeightStrides{}) {
      source.strides = contiguous_strides(source.conv);
    }
    pack(source, buffer, size);
  });
}

qconv_status qconv_validate(const void* buffer, size_t size, char* message, size_t message_size) {
  return status_of(message, message_size, [&] { view_packed(buffer, size, true); });
}

qconv_status qconv_open(
    const void* buffer, size_t size, int verify, qconv_packed** packed, char* message,
    size_t message_size) {
  return status_of(message, message_size, [&] {
    check_not_null(packed, "packed");
    *packed = new qconv_packed{view_packed(buffer, size, verify != 0)};
  });
}

void qconv_close(qconv_packed* packed) {
  delete packed;
}

void qconv_describe(const qconv_packed* packed, qconv_description* description) {
  const PackedView& view = packed->view;
  qconv_convolution& conv = description->conv;
  conv.spatial_dims = view.original.spatial_dims;
  conv.transposed = view.original.transposed ? 1 : 0;
  conv.in_channels = view.original.in_channels;
  conv.out_channels = view.original.out_channels;
  conv.groups = view.original.groups;
  copy_extent(view.original.kernel, conv.kernel);
  copy_extent(view.original.stride, conv.stride);
  copy_extent(view.original.padding, conv.padding);
  copy_extent(view.original.output_padding, conv.output_padding);
  copy_extent(view.original.dilation, conv.dilation);
  description->scales_per_channel = view.scales_per_channel ? 1 : 0;
  description->zero_points_per_channel = view.zero_points_per_channel ? 1 : 0;
  description->has_zero_points = view.zero_points != nullptr ? 1 : 0;
  description->has_bias = view.bias != nullptr ? 1 : 0;
}

void qconv_unpack(const qconv_packed* packed, const qconv_unpacked* unpacked) {
  const PackedView& view = packed->view;
  if (unpacked->weight != nullptr) {
    unpack_weight(view, unpacked->weight);
  }
  for (int64_t i = 0; unpacked->scales != nullptr && i < view.scale_count; ++i) {
    unpacked->scales[i] = view.scale(i);
  }
  for (int64_t i = 0; unpacked->zero_points != nullptr && i < view.zero_point_count; ++i) {
    unpacked->zero_points[i] = view.zero_point(i);
  }
  if (unpacked->bias != nullptr && view.bias != nullptr) {
    std::copy(view.bias, view.bias + view.conv.out_channels, unpacked->bias);
  }
}

const char* qconv_instruction_set(char* message, size_t message_size) {
  const char* name = nullptr;
  status_of(message, message_size, [&] { name = instruction_set_name(best_instruction_set()); });
  return name;
}
