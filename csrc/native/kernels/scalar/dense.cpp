#include "native/kernels/scalar/dense.h"

#include <algorithm>

#include "native/format/layout.h"
#include "native/kernels/scalar/store.h"

namespace qconv::native {
namespace {

// Adds up unsigned, so that the intermediate sums, which may leave int32 though the total doesn't,
// wrap.
void sum_block(
    const DenseArguments& arguments, const uint8_t* pixel, const int8_t* weight, int64_t columns,
    uint32_t* sums) {
  for (int64_t tap = 0; tap < arguments.taps; ++tap) {
    const uint8_t* const values = pixel + arguments.tap_offsets[tap];
    const int8_t* tap_weight =
        weight + tap * arguments.k_blocks * arguments.quads * kQuad * columns;
    for (int64_t k = 0; k < arguments.used_quads * kQuad; k += kQuad) {
      for (int64_t column = 0; column < columns; ++column) {
        int32_t sum = 0;
        for (int64_t i = 0; i < kQuad; ++i) {
          sum += values[k + i] * tap_weight[column * kQuad + i];
        }
        sums[column] += static_cast<uint32_t>(sum);
      }
      tap_weight += kQuad * columns;
    }
  }
}

}  // namespace

void dense_scalar(const DenseArguments& arguments) {
  const auto* const activation = static_cast<const uint8_t*>(arguments.activation);
  const OutputPlace& output = arguments.output;
  for (int64_t pixel = 0; pixel < arguments.pixels; ++pixel) {
    const int64_t column_in_row = pixel % output.row_pitch;
    if (column_in_row >= output.row_width) {
      continue;
    }
    const int64_t place =
        pixel / output.row_pitch * output.row_stride + column_in_row * output.pixel_stride;
    for (int64_t first = 0; first < arguments.out_channels; first += kBlockColumns) {
      const int64_t channels = std::min(kBlockColumns, arguments.out_channels - first);
      const bool last = first + channels == arguments.out_channels;
      uint32_t sums[kBlockColumns] = {};
      sum_block(
          arguments, activation + pixel * arguments.pixel_stride,
          arguments.weight + first / kBlockColumns * arguments.block_stride,
          last ? arguments.last_columns : kBlockColumns, sums);
      for (int64_t i = 0; i < channels; ++i) {
        const int64_t channel = first + i;
        if (arguments.weight_zero_points != nullptr) {
          sums[i] -= static_cast<uint32_t>(arguments.weight_zero_points[channel]) *
              static_cast<uint32_t>(arguments.activation_sums[pixel]);
        }
        const auto sum = static_cast<int32_t>(sums[i]);
        const int64_t element = place + channel;
        store_scalar(
            arguments.store, arguments.requantization, channel, sum,
            static_cast<uint8_t*>(output.data) + element * element_bytes(arguments.store),
            arguments.store == Store::kBytesAdded
                ? static_cast<const uint8_t*>(arguments.addend) + element
                : nullptr);
      }
    }
  }
}

}  // namespace qconv::native
