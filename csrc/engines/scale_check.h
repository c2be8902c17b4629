#pragma once

#include <cstdint>
#include <string_view>

namespace qconv {

bool is_normal_float32(float value);

// Libraries requantize in float32, which must hold the products of the scales without loss:
// product = input scale * weight scale, multiplier = product / output scale. Raises ValueError.
void check_float32_scales(
    std::string_view op, float product, float multiplier, double input_scale, float weight_scale,
    double output_scale, int64_t channel);

}  // namespace qconv
