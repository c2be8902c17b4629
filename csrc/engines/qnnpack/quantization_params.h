#pragma once

#include <algorithm>
#include <cstring>

#include "engines/qnnpack/kernels.h"
#include "engines/qnnpack/qnnpack_api.h"

namespace qconv {

inline pytorch_qnnp_conv_quantization_params quantization_params(
    const Activation& input, const QnnpackOutput& output) {
  pytorch_qnnp_conv_quantization_params params;
  std::memset(&params, 0, sizeof(params));
  const auto smallest =
      static_cast<uint8_t>(output.post_op == PostOp::kRelu ? output.zero_point : 0);
#if defined(__x86_64__) || defined(_M_X64)
  auto& set = params.sse2;
  set.kernel_zero_points = output.weight_zero_points;
  set.requantization_scales = output.multipliers;
  std::fill_n(set.input_zero_point, 8, static_cast<int16_t>(input.zero_point));
  std::fill_n(set.output_zero_point, 8, static_cast<int16_t>(output.zero_point));
  std::fill_n(set.output_max, 16, uint8_t{255});
  std::fill_n(set.output_min, 16, smallest);
#else
  auto& set = params.neon;
  set.kernel_zero_points = output.weight_zero_points;
  set.requantization_scales = output.multipliers;
  set.input_zero_point = static_cast<int16_t>(input.zero_point);
  set.output_zero_point = static_cast<int16_t>(output.zero_point);
  set.output_max = 255;
  set.output_min = smallest;
  set.vfmax = static_cast<float>(255 - output.zero_point);
  set.vfmin = static_cast<float>(smallest - output.zero_point);
  set.vfmagic = 12582912.0F;
  set.vimagic = 0x4B400000 - output.zero_point;
#endif
  return params;
}

}  // namespace qconv
