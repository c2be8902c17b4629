#include "native/kernels/scalar/grouped.h"

#include "native/kernels/scalar/outputs.h"

namespace qconv::native {

void grouped_scalar(const DenseArguments& arguments) {
  const int64_t inputs = arguments.group_inputs;
  // What an output channel reads of a pixel.
  const auto values = [&](int64_t pixel, int64_t channel, int64_t tap) {
    return static_cast<const uint8_t*>(arguments.activation) + pixel * arguments.pixel_stride +
        arguments.tap_offsets[tap] + channel / arguments.group_outputs * inputs;
  };
  const auto sum = [&](int64_t pixel, int64_t channel, uint32_t* sums) {
    const int8_t* weight = arguments.weight + channel / kBlockColumns * arguments.block_stride;
    const int64_t channels = std::min(kBlockColumns, arguments.out_channels - channel);
    for (int64_t tap = 0; tap < arguments.taps; ++tap) {
      for (int64_t column = 0; column < channels; ++column) {
        const uint8_t* const activation = values(pixel, channel + column, tap);
        int32_t products = 0;
        for (int64_t k = 0; k < inputs; ++k) {
          const int64_t quad = k / kQuad * kBlockColumns + column;
          products += activation[k] * weight[quad * kQuad + k % kQuad];
        }
        sums[column] += static_cast<uint32_t>(products);
      }
      weight += inputs * kBlockColumns;
    }
  };
  const auto total = [&](int64_t pixel, int64_t channel) {
    uint32_t result = 0;
    for (int64_t tap = 0; tap < arguments.taps; ++tap) {
      const uint8_t* const activation = values(pixel, channel, tap);
      for (int64_t k = 0; k < inputs; ++k) {
        result += activation[k];
      }
    }
    return result;
  };
  compute_outputs(arguments, sum, total);
}

}  // namespace qconv::native
