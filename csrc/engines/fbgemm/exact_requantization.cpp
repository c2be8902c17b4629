#include "engines/fbgemm/exact_requantization.h"

#include <fbgemm/Fbgemm.h>

#include <array>

#include "engines/fbgemm/epilogue_kind.h"

namespace qconv {
namespace {

template <bool kRelu, ::fbgemm::QuantizationGranularity kGranularity>
void requantize(
    const ConvDescription& conv, const RequantizationScales& scales, int32_t zero_point,
    int64_t pixels, int32_t* sums, uint8_t* output) {
  // The sums come without their zero points' parts, so the epilogue sees symmetric operands.
  static constexpr std::array<int32_t, 1> kNoZeroPoint{};
  const auto columns = static_cast<int>(conv.geometry.out_channels);
  ::fbgemm::DoNothing<> nothing{};
  const ::fbgemm::ReQuantizeOutput<kRelu, kGranularity, float> epilogue(
      nothing, scales.multiplier.data(), zero_point, 0, kNoZeroPoint.data(), nullptr, nullptr,
      conv.bias ? conv.bias->data() : nullptr, static_cast<uint32_t>(columns), 1,
      scales.input_times_weight.data());
  epilogue.template f<::fbgemm::inst_set_t::avx2>(
      output, sums, {0, static_cast<int>(pixels), 0, columns}, columns, columns);
}

}  // namespace

void run_exactly(
    const ExactConv& exact, const ConvDescription& conv, const RunShape& shape,
    const Activation& input, const RequantizationScales& scales,
    const OutputQuantization& quantization, PostOp post_op, uint8_t* output) {
  if (!scales.fits_int32) {
    exact.run(shape, input, quantization, post_op, output);
    return;
  }
  const int64_t channels = conv.geometry.out_channels;
  exact.for_each_run(shape, input, [&](int64_t first, int64_t pixels, int32_t* sums) {
    with_epilogue_kind(conv, post_op, [&](auto relu, auto granularity) {
      requantize<relu(), granularity()>(
          conv, scales, quantization.zero_point, pixels, sums, output + first * channels);
    });
  });
}

}  // namespace qconv
