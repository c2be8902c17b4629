#include "native/format/check_convolution.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace qconv::native {
namespace {

constexpr const char* kDimensionNames[] = {"depth", "height", "width"};

[[noreturn]] void fail(const std::string& message) {
  throw std::invalid_argument(message);
}

// `of`: the dimension, or null.
void check_range(const char* name, const char* of, int64_t value, int64_t smallest) {
  if (value < smallest || value > kMaxExtent) {
    fail(
        std::string(name) + (of == nullptr ? "" : " of ") + (of == nullptr ? "" : of) +
        " must be from " + std::to_string(smallest) + " to " + std::to_string(kMaxExtent) +
        ", got " + std::to_string(value));
  }
}

// Factors are at most kMaxExtent, and the product is cut off before it can overflow.
int64_t product_up_to(int64_t limit, std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    if (product > limit / factor) {
      return limit + 1;
    }
    product *= factor;
  }
  return product;
}

void check_dimension(const Convolution& conv, size_t i) {
  const char* const of = kDimensionNames[i];
  check_range("kernel size", of, conv.kernel[i], 1);
  check_range("stride", of, conv.stride[i], 1);
  check_range("padding", of, conv.padding[i], 0);
  check_range("output padding", of, conv.output_padding[i], 0);
  check_range("dilation", of, conv.dilation[i], 1);
  check_range("reach of kernel", of, conv.dilation[i] * (conv.kernel[i] - 1) + 1, 1);
  const int64_t limit = conv.transposed ? std::max(conv.stride[i], conv.dilation[i]) : 1;
  if (conv.output_padding[i] >= limit) {
    fail(
        std::string("output padding of ") + of +
        (conv.transposed ? " must be smaller than stride or dilation"
                         : " must be 0 where the convolution isn't transposed") +
        ", got " + std::to_string(conv.output_padding[i]));
  }
  const bool lacking = static_cast<int64_t>(i) < 3 - conv.spatial_dims;
  if (lacking &&
      (conv.kernel[i] != 1 || conv.stride[i] != 1 || conv.padding[i] != 0 ||
       conv.dilation[i] != 1 || conv.output_padding[i] != 0)) {
    fail(
        "a convolution of " + std::to_string(conv.spatial_dims) +
        " dimensions must have kernel size, stride and dilation 1 and padding 0 in " + of);
  }
}

void check_divisible(const char* name, int64_t channels, int64_t groups) {
  if (channels % groups != 0) {
    fail(
        std::string("groups must divide ") + name + ", got " + std::to_string(groups) +
        " groups and " + std::to_string(channels) + " channels");
  }
}

}  // namespace

void check_convolution(const Convolution& conv) {
  if (conv.spatial_dims < 1 || conv.spatial_dims > 3) {
    fail("spatial dimensions must be 1, 2 or 3, got " + std::to_string(conv.spatial_dims));
  }
  check_range("in_channels", nullptr, conv.in_channels, 1);
  check_range("out_channels", nullptr, conv.out_channels, 1);
  check_range("groups", nullptr, conv.groups, 1);
  check_divisible("in_channels", conv.in_channels, conv.groups);
  check_divisible("out_channels", conv.out_channels, conv.groups);
  for (size_t i = 0; i < conv.kernel.size(); ++i) {
    check_dimension(conv, i);
  }
  const int64_t per_channel = product_up_to(
      kMaxWeightsPerChannel,
      {conv.in_channels_per_group(), conv.kernel[0], conv.kernel[1], conv.kernel[2]});
  if (per_channel > kMaxWeightsPerChannel) {
    fail(
        "an output channel must have at most " + std::to_string(kMaxWeightsPerChannel) +
        " weights: input channels per group times kernel size");
  }
  if (product_up_to(kMaxWeights, {conv.out_channels, per_channel}) > kMaxWeights) {
    fail("a convolution must have at most " + std::to_string(kMaxWeights) + " weights");
  }
}

}  // namespace qconv::native
