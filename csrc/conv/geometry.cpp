#include "conv/geometry.h"

#include <algorithm>
#include <limits>

#include "conv/check.h"

namespace qconv {
namespace {

// Every size fits the int of the libraries below, and products of two of them fit int64.
constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();

void check_list(
    std::string_view op, const char* name, c10::IntArrayRef values, int conv_dims,
    int64_t smallest) {
  QCONV_CHECK_VALUE(
      static_cast<int>(values.size()) == conv_dims, op, name, " must have ", conv_dims,
      conv_dims == 1 ? " element, got " : " elements, got ", values.size(), " (", values, ")");
  for (int64_t value : values) {
    QCONV_CHECK_VALUE(
        value >= smallest && value <= kMaxSize, op, name, " must be ",
        smallest == 0 ? "non-negative" : "positive", " and below 2^31, got ", values);
  }
}

// The list as it is stored: with a leading entry for the height of 1 where the op is 1-D.
Dims stored(c10::IntArrayRef values, int conv_dims, int64_t leading) {
  Dims result;
  if (conv_dims == 1) {
    result.push_back(leading);
  }
  result.append(values.begin(), values.end());
  return result;
}

void check_weight_sizes(
    std::string_view op, int conv_dims, bool transposed, c10::IntArrayRef sizes) {
  const char* layout = transposed ? "[in_channels, out_channels/groups, kernel...]"
                                  : "[out_channels, in_channels/groups, kernel...]";
  QCONV_CHECK_VALUE(
      static_cast<int>(sizes.size()) == conv_dims + 2, op, "weight must have ", conv_dims + 2,
      " dimensions ", layout, ", got ", sizes.size(), " (", sizes, ")");
  for (int64_t size : sizes) {
    QCONV_CHECK_VALUE(size > 0, op, "weight must have no empty dimension, got ", sizes);
    QCONV_CHECK_VALUE(
        size <= kMaxSize, op, "weight must have sizes below 2^31 in every dimension, got ", sizes);
  }
}

}  // namespace

int64_t ConvGeometry::kernel_taps() const {
  int64_t taps = 1;
  for (int64_t size : kernel) {
    taps *= size;
  }
  return taps;
}

std::string_view ConvGeometry::kind() const {
  static constexpr std::string_view forward[] = {"conv1d", "conv2d", "conv3d"};
  static constexpr std::string_view backward[] = {
      "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"};
  return (transposed ? backward : forward)[conv_dims - 1];
}

ConvGeometry check_geometry(
    std::string_view op, int conv_dims, bool transposed, c10::IntArrayRef weight_sizes,
    const GeometryArguments& arguments) {
  check_weight_sizes(op, conv_dims, transposed, weight_sizes);
  check_list(op, "stride", arguments.stride, conv_dims, 1);
  check_list(op, "padding", arguments.padding, conv_dims, 0);
  check_list(op, "output_padding", arguments.output_padding, conv_dims, 0);
  check_list(op, "dilation", arguments.dilation, conv_dims, 1);
  const int64_t groups = arguments.groups;
  QCONV_CHECK_VALUE(
      groups >= 1 && groups <= kMaxSize, op, "groups must be positive and below 2^31, got ",
      groups);
  QCONV_CHECK_VALUE(
      weight_sizes[0] % groups == 0, op, "groups must divide weight.size(0), which is ",
      transposed ? "in_channels" : "out_channels", ", got groups ", groups, " and weight of size ",
      weight_sizes);
  QCONV_CHECK_VALUE(
      weight_sizes[1] <= kMaxSize / groups, op, "weight.size(1) * groups must be below 2^31, got ",
      weight_sizes[1], " * ", groups);
  for (int i = 0; i < conv_dims; ++i) {
    const int64_t limit = std::max(arguments.stride[i], arguments.dilation[i]);
    QCONV_CHECK_VALUE(
        arguments.output_padding[i] == 0 || (transposed && arguments.output_padding[i] < limit), op,
        transposed ? "output_padding must be smaller than stride or dilation, got "
                   : "output_padding must be 0 where the convolution isn't transposed, got ",
        arguments.output_padding, " with stride ", arguments.stride, " and dilation ",
        arguments.dilation);
  }

  ConvGeometry geometry;
  geometry.conv_dims = conv_dims;
  geometry.transposed = transposed;
  geometry.in_channels = transposed ? weight_sizes[0] : weight_sizes[1] * groups;
  geometry.out_channels = transposed ? weight_sizes[1] * groups : weight_sizes[0];
  geometry.groups = groups;
  geometry.kernel = stored(weight_sizes.slice(2), conv_dims, 1);
  geometry.stride = stored(arguments.stride, conv_dims, 1);
  geometry.padding = stored(arguments.padding, conv_dims, 0);
  geometry.output_padding = stored(arguments.output_padding, conv_dims, 0);
  geometry.dilation = stored(arguments.dilation, conv_dims, 1);
  return geometry;
}

Dims output_size(
    std::string_view op, int op_dims, const ConvGeometry& geometry, c10::IntArrayRef input_size) {
  const auto shown = [&](c10::IntArrayRef values) { return values.slice(values.size() - op_dims); };
  Dims result;
  for (int i = 0; i < geometry.spatial_dims(); ++i) {
    // Operands are below 2^31, so no product or sum here leaves int64.
    const int64_t extent = geometry.dilation[i] * (geometry.kernel[i] - 1) + 1;
    const int64_t padding = 2 * geometry.padding[i];
    int64_t size = 0;
    if (geometry.transposed) {
      size =
          (input_size[i] - 1) * geometry.stride[i] - padding + extent + geometry.output_padding[i];
      QCONV_CHECK_VALUE(
          size > 0, op, "padding leaves no output: input size ", shown(input_size),
          ", kernel size ", shown(geometry.kernel), ", stride ", shown(geometry.stride),
          ", padding ", shown(geometry.padding));
    } else {
      const int64_t padded = input_size[i] + padding;
      QCONV_CHECK_VALUE(
          padded >= extent, op, "input of size ", shown(input_size), " with padding ",
          shown(geometry.padding), " must not be smaller than the kernel of size ",
          shown(geometry.kernel), " with dilation ", shown(geometry.dilation));
      size = (padded - extent) / geometry.stride[i] + 1;
    }
    QCONV_CHECK_VALUE(
        size <= kMaxSize, op, "output size must be below 2^31 in every dimension, got ", size,
        " in dimension ", i - (geometry.spatial_dims() - op_dims));
    result.push_back(size);
  }
  return result;
}

}  // namespace qconv
