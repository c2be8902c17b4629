#pragma once

#include <string_view>

#include "conv/description.h"
#include "engines/exact/weight_facts.h"

namespace qconv::onednn {

// oneDNN scales the int32 sums in float32:
//   output = (sum * (input_scale * weight_scale) + bias) * (1 / output_scale) + zero_point
// Tells whether all of these stay within its normal numbers, whatever the activations.
class Float32Range {
 public:
  Float32Range(const ConvDescription& conv, const WeightFacts& facts);

  // Raises ValueError, starting with op, where the products of the scales leave them.
  void check_scales(std::string_view op, double input_scale, double output_scale) const;

  bool holds(double input_scale) const;
  bool holds(double input_scale, double output_scale) const;

 private:
  struct Extreme {
    float scale = 0;
    int64_t channel = 0;
  };
  Extreme smallest_, largest_;
  double largest_sum_ = 0;
  double largest_bias_ = 0;
};

}  // namespace qconv::onednn
