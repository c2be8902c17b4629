#include "native/kernels/scalar/dense.h"

#include <algorithm>

#include "native/kernels/scalar/outputs.h"

namespace qconv::native {

void dense_scalar(const DenseArguments& arguments) {
  const auto* const activation = static_cast<const uint8_t*>(arguments.activation);
  const auto sum = [&](int64_t pixel, int64_t channel, uint32_t* sums) {
    const bool last = channel + kBlockColumns >= arguments.out_channels;
    const int64_t columns = last ? arguments.last_columns : kBlockColumns;
    const int64_t tap_bytes = arguments.k_blocks * arguments.quads * kQuad * columns;
    const int8_t* const weight =
        arguments.weight + channel / kBlockColumns * arguments.block_stride;
    if (arguments.first_sums != nullptr) {
      std::copy_n(arguments.first_sums + channel, kBlockColumns, sums);
    }
    for (int64_t tap = 0; tap < arguments.taps; ++tap) {
      const uint8_t* const values =
          activation + pixel * arguments.pixel_stride + arguments.tap_offsets[tap];
      const int64_t place = arguments.tap_places == nullptr ? tap : arguments.tap_places[tap];
      const int8_t* quad = weight + place * tap_bytes;
      for (int64_t k = 0; k < arguments.used_quads * kQuad; k += kQuad) {
        for (int64_t column = 0; column < columns; ++column) {
          int32_t products = 0;
          for (int64_t i = 0; i < kQuad; ++i) {
            products += values[k + i] * quad[column * kQuad + i];
          }
          sums[column] += static_cast<uint32_t>(products);
        }
        quad += kQuad * columns;
      }
    }
  };
  compute_outputs(
      arguments, sum, [&](int64_t pixel, int64_t) { return arguments.activation_sums[pixel]; });
}

}  // namespace qconv::native
