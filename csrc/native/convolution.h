#pragma once

#include <array>
#include <cstdint>

namespace qconv::native {

// Depth, height, width; 1-D and 2-D convolutions have a size of 1 (and stride and dilation 1,
// padding 0) in the dimensions that they lack.
using Extent = std::array<int64_t, 3>;

// The shape of one convolution, its input's size left out. Nothing here is trusted to make sense
// before check_convolution has seen it.
struct Convolution {
  int64_t spatial_dims = 2;  // 1, 2 or 3, as its user sees it
  bool transposed = false;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  Extent kernel{1, 1, 1};
  Extent stride{1, 1, 1};
  Extent padding{0, 0, 0};
  Extent output_padding{0, 0, 0};
  Extent dilation{1, 1, 1};

  int64_t in_channels_per_group() const { return in_channels / groups; }
  int64_t out_channels_per_group() const { return out_channels / groups; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t weights() const { return out_channels * in_channels_per_group() * taps(); }
};

}  // namespace qconv::native
