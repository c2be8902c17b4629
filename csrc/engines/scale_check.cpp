#include "engines/scale_check.h"

#include <cmath>
#include <limits>

#include "conv/check.h"

namespace qconv {

bool is_normal_float32(float value) {
  return std::isfinite(value) && value >= std::numeric_limits<float>::min();
}

void check_float32_scales(
    std::string_view op, float product, float multiplier, double input_scale, float weight_scale,
    double output_scale, int64_t channel) {
  QCONV_CHECK_VALUE(
      is_normal_float32(product) && is_normal_float32(multiplier), op,
      "input scale * weight scale / output_scale must stay a normal float32 number, got ",
      input_scale, " * ", weight_scale, " / ", output_scale, " for output channel ", channel);
}

}  // namespace qconv
