#include "native/kernels/scalar/depthwise.h"

#include <algorithm>

#include "native/kernels/scalar/store.h"

namespace qconv::native {
namespace {

constexpr int64_t kBlock = 64;  // channels

// Adds up unsigned, so that the intermediate sums, which may leave int32 though the total doesn't,
// wrap.
void sum_pixel(
    const DepthwiseArguments& arguments, int64_t row, int64_t column, int64_t first,
    int64_t channels, uint32_t* sums) {
  for (int64_t kernel_row = 0; kernel_row < arguments.kernel_rows; ++kernel_row) {
    const uint8_t* const input_row = arguments.rows[row * arguments.row_step + kernel_row];
    for (int64_t k = 0; k < arguments.kernel_columns; ++k) {
      const int64_t input_column =
          column * arguments.stride - arguments.padding + k * arguments.dilation;
      const bool inside =
          input_row != nullptr && input_column >= 0 && input_column < arguments.input_columns;
      const uint8_t* const pixel = first +
          (inside ? input_row + input_column * arguments.input_pixel_stride
                  : arguments.zero_point_pixel);
      const int8_t* const weight = arguments.weight +
          (kernel_row * arguments.kernel_columns + k) * arguments.tap_stride + first;
      if (arguments.weight_zero_points == nullptr) {
        for (int64_t i = 0; i < channels; ++i) {
          sums[i] += static_cast<uint32_t>((pixel[i] ^ arguments.input_flip) * weight[i]);
        }
        continue;
      }
      for (int64_t i = 0; i < channels; ++i) {
        sums[i] += (pixel[i] ^ arguments.input_flip) *
            (static_cast<uint32_t>(weight[i]) -
             static_cast<uint32_t>(arguments.weight_zero_points[first + i]));
      }
    }
  }
}

}  // namespace

void depthwise_scalar(const DepthwiseArguments& arguments) {
  for (int64_t row = 0; row < arguments.output_rows; ++row) {
    for (int64_t column = 0; column < arguments.output_columns; ++column) {
      const int64_t place =
          row * arguments.output_row_stride + column * arguments.output_pixel_stride;
      for (int64_t first = 0; first < arguments.channels; first += kBlock) {
        const int64_t channels = std::min(kBlock, arguments.channels - first);
        uint32_t sums[kBlock] = {};
        sum_pixel(arguments, row, column, first, channels, sums);
        for (int64_t i = 0; i < channels; ++i) {
          const auto sum = static_cast<int32_t>(sums[i]);
          const int64_t channel = first + i;
          const int64_t element = place + channel;
          store_scalar(
              arguments.store, arguments.requantization, channel, sum,
              static_cast<uint8_t*>(arguments.output) + element * element_bytes(arguments.store),
              nullptr);
        }
      }
    }
  }
}

}  // namespace qconv::native
