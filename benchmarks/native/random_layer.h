#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "native/format/packed_view.h"
#include "native/run/run.h"
#include "packing.h"

namespace qconv::native {

// A square convolution with random weights, packed, and one image for it.
class RandomLayer {
 public:
  RandomLayer(
      int64_t in_channels, int64_t out_channels, int64_t groups, int64_t kernel, int64_t stride,
      int64_t size, double scale, float bias)
      : problem_(problem(in_channels, out_channels, groups, kernel, stride, scale, bias)),
        buffer_(packed_size(test::source_of(problem_))),
        image_(static_cast<size_t>(size * size * in_channels)) {
    pack(test::source_of(problem_), buffer_.data(), buffer_.size());
    packed = view_packed(buffer_.data(), buffer_.size(), false);
    for (uint8_t& value : image_) {
      value = static_cast<uint8_t>(std::rand());
    }
    input.data = image_.data();
    input.batch = 1;
    input.size = {1, size, size};
    input.scale = 0.02;
    input.zero_point = 3;
    output_extent = output_size(problem_.conv, input.size);
  }
  RandomLayer(const RandomLayer&) = delete;
  RandomLayer& operator=(const RandomLayer&) = delete;

  PackedView packed;
  RunInput input;
  Extent output_extent;

 private:
  static test::Problem problem(
      int64_t in_channels, int64_t out_channels, int64_t groups, int64_t kernel, int64_t stride,
      double scale, float bias) {
    test::Problem problem;
    problem.conv = test::conv2d(in_channels, out_channels, kernel, kernel, groups);
    problem.conv.stride = {1, stride, stride};
    problem.conv.padding = {0, kernel / 2, kernel / 2};
    for (int64_t i = 0; i < problem.conv.weights(); ++i) {
      problem.weight.push_back(static_cast<int8_t>(std::rand()));
    }
    problem.scales.assign(static_cast<size_t>(out_channels), scale);
    problem.zero_points.assign(1, 0);
    problem.bias.assign(static_cast<size_t>(out_channels), bias);
    return problem;
  }

  test::Problem problem_;
  test::PackedMemory buffer_;
  std::vector<uint8_t> image_;
};

}  // namespace qconv::native
