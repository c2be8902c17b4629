#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "guarded_memory.h"
#include "native/format/pack.h"
#include "reference_conv.h"

namespace qconv::native::test {

inline Convolution conv2d(
    int64_t in_channels, int64_t out_channels, int64_t kernel_height, int64_t kernel_width,
    int64_t groups = 1) {
  Convolution conv;
  conv.in_channels = in_channels;
  conv.out_channels = out_channels;
  conv.groups = groups;
  conv.kernel = {1, kernel_height, kernel_width};
  return conv;
}

inline Convolution transposed(Convolution conv, Extent stride) {
  conv.transposed = true;
  conv.stride = stride;
  return conv;
}

// The weight of a problem in memory of a given order; per_channel as the counts of the problem say.
inline PackSource source_of(const Problem& problem) {
  PackSource source;
  source.conv = problem.conv;
  source.weight = problem.weight.data();
  source.strides = contiguous_strides(problem.conv);
  source.scales = problem.scales.data();
  source.scales_per_channel = problem.scales.size() != 1;
  source.zero_points = problem.zero_points.data();
  source.zero_points_per_channel = problem.zero_points.size() != 1;
  source.bias = problem.bias.empty() ? nullptr : problem.bias.data();
  return source;
}

inline std::string describe(const Convolution& conv) {
  std::ostringstream text;
  text << (conv.transposed ? "transposed " : "") << "in " << conv.in_channels << " out "
       << conv.out_channels << " groups " << conv.groups << " kernel " << conv.kernel[0] << "x"
       << conv.kernel[1] << "x" << conv.kernel[2] << " dilation " << conv.dilation[1] << "x"
       << conv.dilation[2] << " stride " << conv.stride[0] << "x" << conv.stride[1] << "x"
       << conv.stride[2];
  return text.str();
}

// Memory for packed bytes, 64-byte aligned, right before a page that can't be touched.
class PackedMemory {
 public:
  explicit PackedMemory(size_t size) : memory_(size), size_(size) {}
  uint8_t* data() { return memory_.data(); }
  size_t size() const { return size_; }

 private:
  GuardedMemory memory_;
  size_t size_;
};

}  // namespace qconv::native::test
