#include "native/run/output_plan.h"

#include <algorithm>
#include <cmath>

#include "native/run/factors.h"

namespace qconv::native {
namespace {

// Values before rounding, of outputs that aren't clamped, are sum * multiplier + offset, below 512
// in size, in quanta of the output: so sum * multiplier is below `offset` + 512. float32 rounds the
// sum, the multiplier and the offset by 2^-24 of their size: with 4096 the whole error is below
// 8.2e-4.
constexpr double kLargestOffset = 4096;
// The same where an addend of up to 255 times its multiplier is added, and these two are rounded,
// with an offset and an addend of 3072 together: 2 * 3584 + 3072 + 3584 + 512 times 2^-24 are
// 8.6e-4.
constexpr double kLargestOffsetAndAddend = 3072;
// No sum, however large, leaves int32 when it is multiplied by less.
constexpr double kLargestMultiplier = 0.5;
// With functions whose slope is at most 1.5 where they are rounded to integers, and which for
// positive numbers are at least half of them, that becomes 1.5e-3; their own errors are below 4e-7
// of the result, 2e-4. Where a function tends to 0 the slope times the number is below 0.3: of
// float32's relative error that leaves 6e-4 quanta if quanta are as large as this.
constexpr double kSmallestQuantum = 0x1p-14;

bool clamps(PointwiseFunction function) {
  return function == PointwiseFunction::kNone || function == PointwiseFunction::kRelu ||
      function == PointwiseFunction::kHardtanh;
}

// Bounds for numbers counted in `unit`.
FloatBounds bounds_of(const Epilogue& epilogue, const RunOutput& output, double unit) {
  const double quantum = output.scale / unit;
  const RunAddend& addend = epilogue.addend;
  const double most_offset = addend.data == nullptr
      ? kLargestOffset
      : kLargestOffsetAndAddend - 255 * addend.scale / output.scale;
  FloatBounds bounds;
  bounds.unit = unit;
  bounds.most_multiplier = static_cast<float>(kLargestMultiplier * quantum);
  bounds.most_offset = static_cast<float>(most_offset * quantum);
  return bounds;
}

// The integer that a real number becomes.
int32_t quantized(double real, const RunOutput& output) {
  const double q = std::nearbyint(real / output.scale) + output.zero_point;
  return static_cast<int32_t>(
      std::clamp<double>(q, smallest_of(output.type), largest_of(output.type)));
}

// Kernels' own store: clamps of bytes, dense ones with an addend of bytes. Returns whether it will
// do.
bool plan_requantization(
    const FactorTables& tables, const RunInput& input, const Epilogue& epilogue,
    const RunOutput& output, OutputPlan& plan) {
  const RunAddend& addend = epilogue.addend;
  const bool adds = addend.data != nullptr;
  const bool depthwise = tables.packed.layout.kind == LayoutKind::kDepthwise;
  if (!is_quantized(output.type) || !clamps(epilogue.function) ||
      (adds && (depthwise || !is_quantized(addend.type)))) {
    return false;
  }
  Requantization& requantization = plan.requantization;
  FloatBounds bounds = bounds_of(epilogue, output, output.scale);
  if (adds) {
    const bool is_signed = addend.type == ElementType::kInt8;
    const double multiplier = addend.scale / output.scale;
    requantization.addend_flip = is_signed ? 0x80 : 0;
    requantization.addend_multiplier = static_cast<float>(multiplier);
    bounds.shift = -multiplier * (addend.zero_point + (is_signed ? 128 : 0));
  }
  const FloatFactors factors = float_factors(tables, input, bounds);
  plan.table_stride = factors.table_stride;
  requantization.multiplier = factors.multiplier;
  requantization.offset = factors.offset;
  requantization.zero_point = output.zero_point;
  requantization.low = smallest_of(output.type);
  requantization.high = largest_of(output.type);
  if (epilogue.function == PointwiseFunction::kRelu) {
    requantization.low = quantized(0, output);
  } else if (epilogue.function == PointwiseFunction::kHardtanh) {
    requantization.low = quantized(epilogue.lower, output);
    requantization.high = quantized(epilogue.upper, output);
  }
  plan.store = adds ? Store::kBytesAdded : Store::kBytes;
  return factors.within_bounds;
}

// Whether the pass may compute in float32, as far as its factors allow it.
bool suits_float32(const Epilogue& epilogue, const RunOutput& output) {
  const bool steep =
      epilogue.function == PointwiseFunction::kLeakyRelu && !(std::abs(epilogue.slope) <= 1);
  return is_quantized(output.type) && output.scale >= kSmallestQuantum && !steep &&
      (epilogue.addend.data == nullptr || is_quantized(epilogue.addend.type));
}

void plan_pass(
    const FactorTables& tables, const RunInput& input, const Epilogue& epilogue,
    const RunOutput& output, OutputPlan& plan) {
  PointwiseArguments& pass = plan.pass;
  pass.epilogue = epilogue;
  pass.output = output;
  if (suits_float32(epilogue, output)) {
    const FloatFactors factors = float_factors(tables, input, bounds_of(epilogue, output, 1));
    if (factors.within_bounds) {
      plan.table_stride = factors.table_stride;
      pass.multiplier = factors.multiplier;
      pass.offset = factors.offset;
      return;
    }
  }
  const DoubleFactors factors = double_factors(tables, input);
  plan.table_stride = factors.table_stride;
  pass.zero_point_sum = factors.zero_point_sum;
  pass.scale = factors.scale;
  pass.bias = factors.bias;
}

}  // namespace

OutputPlan plan_output(
    const FactorTables& tables, const RunInput& input, const Epilogue& epilogue,
    const RunOutput& output) {
  OutputPlan plan;
  plan.weight_zero_points = weight_zero_point_table(tables.packed);
  plan.output = output;
  plan.addend = epilogue.addend;
  if (!plan_requantization(tables, input, epilogue, output, plan)) {
    plan.store = Store::kSums;
    plan_pass(tables, input, epilogue, output, plan);
  }
  return plan;
}

}  // namespace qconv::native
