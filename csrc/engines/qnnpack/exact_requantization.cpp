#include "engines/qnnpack/exact_requantization.h"
#include "native/cpu/vector_clones.h"

#include <algorithm>
#include <cmath>

namespace qconv {
namespace {

// Real: QNNPACK multiplies in float, but in its 3x3x3 depthwise kernel in double. Called only where
// the sums with the bias and the products fit int32.
template <typename Real>
__attribute__((always_inline)) inline void requantize_pixel(
    const int32_t* __restrict sums, const int32_t* __restrict biases,
    const float* __restrict multipliers, int64_t channels, Real smallest, Real zero_point,
    uint8_t* __restrict output) {
  for (int64_t c = 0; c < channels; ++c) {
    const Real quanta =
        std::nearbyint(static_cast<Real>(sums[c] + biases[c]) * static_cast<Real>(multipliers[c]));
    output[c] = static_cast<uint8_t>(
        static_cast<int32_t>(std::clamp(quanta + zero_point, smallest, Real{255})));
  }
}

QCONV_VECTOR_CLONES void requantize_in_float(
    const int32_t* sums, const int32_t* biases, const float* multipliers, int64_t channels,
    int32_t smallest, int32_t zero_point, uint8_t* output) {
  requantize_pixel<float>(
      sums, biases, multipliers, channels, static_cast<float>(smallest),
      static_cast<float>(zero_point), output);
}

QCONV_VECTOR_CLONES void requantize_in_double(
    const int32_t* sums, const int32_t* biases, const float* multipliers, int64_t channels,
    int32_t smallest, int32_t zero_point, uint8_t* output) {
  requantize_pixel<double>(sums, biases, multipliers, channels, smallest, zero_point, output);
}

bool multiplies_in_double(const ConvGeometry& geometry) {
  return !geometry.transposed && geometry.kernel == Dims(3, 3);
}

}  // namespace

void run_exactly(
    const ExactConv& exact, const ConvDescription& conv, const RunShape& shape,
    const Activation& input, const QnnpackRequantization& requantization,
    const OutputQuantization& quantization, PostOp post_op, uint8_t* output) {
  const int64_t channels = conv.geometry.out_channels;
  const std::vector<int32_t> biases =
      conv.bias ? bias_in_sums(conv, input.scale) : std::vector<int32_t>(channels, 0);
  const auto requantize =
      multiplies_in_double(conv.geometry) ? requantize_in_double : requantize_in_float;
  const int32_t smallest = post_op == PostOp::kRelu ? quantization.zero_point : 0;
  exact.for_each_run(shape, input, [&](int64_t first, int64_t pixels, const int32_t* sums) {
    for (int64_t i = 0; i < pixels; ++i) {
      requantize(
          sums + i * channels, biases.data(), requantization.multipliers.data(), channels, smallest,
          quantization.zero_point, output + (first + i) * channels);
    }
  });
}

}  // namespace qconv
