#pragma once

#include <c10/util/FunctionRef.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "engines/engine.h"

namespace qconv {

// Convolution by plain loops with exact int32 sums, for what a library gets wrong or has no kernel
// for. Right for every weight whose sums fit int32 (kLargestExactAbsoluteSum).
class ExactConv {
 public:
  // grouped_weight: [groups, out/groups, kernel..., in/groups], see weight_layout.h.
  ExactConv(std::shared_ptr<const ConvDescription> conv, const int8_t* grouped_weight);

  // Requantizes in double precision: right whatever the scales and however large the values.
  void run(
      const RunShape& shape, const Activation& input, const OutputQuantization& quantization,
      PostOp post_op, uint8_t* output) const;
  void run_to_float(const RunShape& shape, const Activation& input, float* output) const;

  // first_pixel counts over the whole batch; sums is [pixels, out_channels], without bias, and may
  // be overwritten.
  using Consume = c10::function_ref<void(int64_t first_pixel, int64_t pixels, int32_t* sums)>;
  // Hands the sums to `consume` by runs of output pixels, on all threads: for the requantizations
  // of libraries.
  void for_each_run(const RunShape& shape, const Activation& input, Consume consume) const;

  void unpack(int8_t* grouped_weight) const;
  int64_t nbytes() const { return static_cast<int64_t>(weight_.size() * sizeof(int16_t)); }

 private:
  bool depthwise() const;
  int64_t position(int64_t out_channel, int64_t tap, int64_t in_channel) const;
  // tap_pixels: see TapTable::input_pixels.
  void sum_pixel(
      const uint8_t* image, int32_t zero_point, const std::vector<int64_t>& tap_pixels,
      int32_t* sums) const;
  double real_value(const Activation& input, int64_t channel, int32_t sum) const;

  const std::shared_ptr<const ConvDescription> conv_;
  // weight - zero_point as [groups, taps, in/groups, out/groups], or [taps, channels] where each
  // group has one input and one output channel: vectors hold entries of the innermost dimension.
  std::vector<int16_t> weight_;
};

}  // namespace qconv
