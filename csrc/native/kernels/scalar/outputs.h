#pragma once

#include <algorithm>
#include <cstdint>

#include "native/format/layout.h"
#include "native/kernels/dense.h"
#include "native/kernels/scalar/store.h"

namespace qconv::native {

// Computes and stores all outputs of a call, a block of output channels of a pixel at a time.
// sum(pixel, channel, sums) adds up those from output channel `channel` on, without the zero points
// of weights: unsigned, so that intermediate sums, which may leave int32 though the total doesn't,
// wrap. total(pixel, channel): of what the weights of one output channel are multiplied with.
template <typename Sum, typename Total>
void compute_outputs(const DenseArguments& arguments, const Sum& sum, const Total& total) {
  const OutputPlace& output = arguments.output;
  for (int64_t pixel = 0; pixel < arguments.pixels; ++pixel) {
    const int64_t column = pixel % output.row_pitch;
    if (column >= output.row_width) {
      continue;
    }
    const int64_t place =
        pixel / output.row_pitch * output.row_stride + column * output.pixel_stride;
    for (int64_t first = 0; first < arguments.out_channels; first += kBlockColumns) {
      const int64_t channels = std::min(kBlockColumns, arguments.out_channels - first);
      uint32_t sums[kBlockColumns] = {};
      sum(pixel, first, sums);
      for (int64_t i = 0; i < channels; ++i) {
        const int64_t channel = first + i;
        if (arguments.weight_zero_points != nullptr) {
          sums[i] -= static_cast<uint32_t>(arguments.weight_zero_points[channel]) *
              static_cast<uint32_t>(total(pixel, channel));
        }
        const int64_t element = place + channel;
        store_scalar(
            arguments.store, arguments.requantization, channel, static_cast<int32_t>(sums[i]),
            static_cast<uint8_t*>(output.data) + element * element_bytes(arguments.store),
            arguments.store == Store::kBytesAdded
                ? static_cast<const uint8_t*>(arguments.addend) + element
                : nullptr);
      }
    }
  }
}

}  // namespace qconv::native
