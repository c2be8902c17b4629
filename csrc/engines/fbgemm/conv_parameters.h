#pragma once

#include <fbgemm/Fbgemm.h>

#include <algorithm>
#include <array>

#include "conv/check_input.h"
#include "conv/geometry.h"

namespace qconv {

template <int kDims>
std::array<int, kDims> to_int_array(const Dims& values) {
  std::array<int, kDims> result{};
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

// FBGEMM's description of a run; packing takes one as well, and ignores batch and input size.
template <int kDims>
::fbgemm::conv_param_t<kDims> conv_parameters(
    const ConvGeometry& geometry, int64_t batch, const Dims& input_size) {
  std::array<int, 2 * kDims> padding{};
  const std::array<int, kDims> before = to_int_array<kDims>(geometry.padding);
  std::copy(before.begin(), before.end(), padding.begin());
  std::copy(before.begin(), before.end(), padding.begin() + kDims);
  return {
      static_cast<int>(batch),
      static_cast<int>(geometry.in_channels),
      static_cast<int>(geometry.out_channels),
      to_int_array<kDims>(input_size),
      static_cast<int>(geometry.groups),
      to_int_array<kDims>(geometry.kernel),
      to_int_array<kDims>(geometry.stride),
      padding,
      to_int_array<kDims>(geometry.dilation),
      to_int_array<kDims>(geometry.output_padding),
      geometry.transposed};
}

template <int kDims>
::fbgemm::conv_param_t<kDims> packing_parameters(const ConvGeometry& geometry) {
  return conv_parameters<kDims>(geometry, 1, Dims(kDims, 28));
}

}  // namespace qconv
