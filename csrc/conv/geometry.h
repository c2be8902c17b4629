#pragma once

#include <c10/util/ArrayRef.h>
#include <c10/util/SmallVector.h>

#include <cstdint>
#include <string_view>

namespace qconv {

// One entry per spatial dimension, outermost (depth, then height, then width) first.
using Dims = c10::SmallVector<int64_t, 3>;

// Sizes or strides of a tensor [batch, channels, spatial...].
using Sizes = c10::SmallVector<int64_t, 5>;

// The shape of one convolution, its input's size left out.
//
// A 1-D convolution is held as 2-D with a height of 1: kernel (1, k), stride (1, s), padding (0,
// p), output_padding (0, o), dilation (1, d). That is how PyTorch stores it, in memory and in
// files.
struct ConvGeometry {
  int conv_dims = 2;           // 1, 2 or 3: the convolution as its user sees it
  bool may_run_as_1d = false;  // a loaded 2-D object whose file doesn't say whether it was 1-D
  bool transposed = false;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  Dims kernel, stride, padding, output_padding, dilation;

  int spatial_dims() const { return static_cast<int>(kernel.size()); }
  int64_t in_channels_per_group() const { return in_channels / groups; }
  int64_t out_channels_per_group() const { return out_channels / groups; }
  int64_t kernel_taps() const;
  // Products that one output value sums: taps times input channels of its group.
  int64_t reduction_length() const { return kernel_taps() * in_channels_per_group(); }
  // "conv1d", "conv_transpose3d", ...
  std::string_view kind() const;
};

// The shape arguments as a caller gives them, lists with one entry per dimension of the op.
struct GeometryArguments {
  c10::IntArrayRef stride, padding, output_padding, dilation;
  int64_t groups = 1;
};

// Checks the arguments against the weight's sizes and each other, as float convolutions do.
// weight_sizes: forward [out, in/groups, kernel...], transposed [in, out/groups, kernel...].
// Raises ValueError.
ConvGeometry check_geometry(
    std::string_view op, int conv_dims, bool transposed, c10::IntArrayRef weight_sizes,
    const GeometryArguments& arguments);

// Spatial size of the output, one entry per entry of input_size (spatial_dims() many). Messages
// show the op_dims innermost ones, which are those that the user sees.
// Raises ValueError where the input is smaller than the kernel or the output is out of range.
Dims output_size(
    std::string_view op, int op_dims, const ConvGeometry& geometry, c10::IntArrayRef input_size);

}  // namespace qconv
