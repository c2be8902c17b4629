#include "plain/epilogue_arguments.h"

#include <cmath>
#include <string>
#include <vector>

#include "conv/check.h"
#include "conv/check_input.h"
#include "conv/check_tensor.h"

namespace qconv {
namespace {

bool quantizes(c10::ScalarType dtype) {
  return dtype == at::kByte || dtype == at::kChar;
}

// The scalars of a function, `count` real numbers. what: what they are, for messages.
std::vector<double> real_scalars(
    std::string_view op, const PointwiseCall& call, size_t count, const char* what) {
  QCONV_CHECK_VALUE(
      call.scalars.size() == count, op, "scalars of ", call.function, " must be ", what, ", got ",
      call.scalars.size());
  std::vector<double> numbers;
  for (size_t i = 0; i < count; ++i) {
    const std::optional<c10::Scalar> value = call.scalars.get(i);
    QCONV_CHECK_VALUE(
        value && !value->isComplex() && !std::isnan(value->toDouble()), op, "scalars of ",
        call.function, " must be real numbers");
    numbers.push_back(value->toDouble());
  }
  return numbers;
}

// gelu has two forms, as torch.nn.functional.gelu's `approximate` names them.
PointwiseFunction gelu_form(std::string_view op, const PointwiseCall& call) {
  const std::string algorithm = call.algorithm.value_or("");
  QCONV_CHECK_VALUE(
      algorithm == "none" || algorithm == "tanh", op,
      "algorithm of gelu must be 'none' or 'tanh', got '", algorithm, "'");
  return algorithm == "tanh" ? PointwiseFunction::kGeluTanh : PointwiseFunction::kGelu;
}

bool has_relu(const BinaryCall& binary) {
  return binary.attribute == "sum_relu" || binary.attribute == "add_relu";
}

}  // namespace

c10::ScalarType output_dtype(std::string_view op, const PointwiseCall& call) {
  const c10::ScalarType dtype = call.output_dtype.value_or(at::kByte);
  QCONV_CHECK_TYPE(
      quantizes(dtype) || dtype == at::kFloat || dtype == at::kBFloat16, op,
      "output_dtype must be torch.uint8, int8, float32 or bfloat16, got torch.",
      c10::getDtypeNames(dtype).first);
  if (quantizes(dtype)) {
    check_output_quantization(op, dtype, call.output_scale, call.output_zero_point);
  } else {
    QCONV_CHECK_VALUE(
        call.output_scale == 1 && call.output_zero_point == 0, op,
        "output_scale and output_zero_point must be 1 and 0 for a float output, got ",
        call.output_scale, " and ", call.output_zero_point);
  }
  return dtype;
}

Epilogue function_epilogue(
    std::string_view op, const PointwiseCall& call, const std::optional<BinaryCall>& binary) {
  Epilogue epilogue;
  const std::string& name = call.function;
  QCONV_CHECK_VALUE(
      !binary || !has_relu(*binary) || name == "none" || name == "relu", op, "binary_attr ",
      binary->attribute, " is followed by relu: unary_attr must be none or relu, got '", name, "'");
  if (name == "relu" || (name == "none" && binary && has_relu(*binary))) {
    epilogue.function = PointwiseFunction::kRelu;
  } else if (name == "hardtanh") {
    const std::vector<double> ends = real_scalars(op, call, 2, "its two ends");
    epilogue.function = PointwiseFunction::kHardtanh;
    epilogue.lower = ends[0];
    epilogue.upper = ends[1];
    QCONV_CHECK_VALUE(
        epilogue.lower <= epilogue.upper, op, "scalars of hardtanh must be in order, got ",
        epilogue.lower, " and ", epilogue.upper);
  } else if (name == "leaky_relu") {
    epilogue.function = PointwiseFunction::kLeakyRelu;
    epilogue.slope = real_scalars(op, call, 1, "its slope")[0];
    QCONV_CHECK_VALUE(
        std::isfinite(epilogue.slope), op, "the slope of leaky_relu must be finite, got ",
        epilogue.slope);
  } else if (name == "hardswish") {
    epilogue.function = PointwiseFunction::kHardswish;
  } else if (name == "swish") {
    epilogue.function = PointwiseFunction::kSwish;
  } else if (name == "sigmoid") {
    epilogue.function = PointwiseFunction::kSigmoid;
  } else if (name == "gelu") {
    epilogue.function = gelu_form(op, call);
  } else {
    QCONV_CHECK_VALUE(
        name == "none", op,
        "attr must be one of none, relu, hardtanh, leaky_relu, hardswish, swish, sigmoid, gelu, "
        "got '",
        name, "'");
  }
  QCONV_CHECK_VALUE(
      name == "hardtanh" || name == "leaky_relu" || call.scalars.empty(), op,
      "scalars must be empty for attr ", name, ", got ", call.scalars.size());
  QCONV_CHECK_VALUE(
      name == "gelu" || !call.algorithm || call.algorithm->empty() || *call.algorithm == "none", op,
      "algorithm must be empty: attr ", name, " has one form, got '", *call.algorithm, "'");
  return epilogue;
}

void check_addend(
    std::string_view op, const BinaryCall& binary, c10::ScalarType output_dtype,
    c10::IntArrayRef output_sizes) {
  const std::string& attribute = binary.attribute;
  QCONV_CHECK_VALUE(
      attribute == "sum" || attribute == "add" || has_relu(binary), op,
      "binary_attr must be one of sum, sum_relu, add, add_relu, got '", attribute, "'");
  QCONV_CHECK_VALUE(
      !binary.alpha || binary.alpha->toDouble() == 1, op, "alpha must be 1, got ",
      binary.alpha->toDouble());
  check_readable(op, "qaccum", binary.addend);
  const c10::ScalarType dtype = binary.addend.scalar_type();
  if (writes_to_addend(binary)) {
    QCONV_CHECK_TYPE(
        dtype == output_dtype, op, "qaccum must have the output's dtype torch.",
        c10::getDtypeNames(output_dtype).first, " for binary_attr ", attribute, ", got ",
        dtype_name(binary.addend));
  }
  QCONV_CHECK_TYPE(
      quantizes(dtype) || dtype == at::kFloat || dtype == at::kBFloat16, op,
      "qaccum must have dtype torch.uint8, int8, float32 or bfloat16, got ",
      dtype_name(binary.addend));
  QCONV_CHECK_VALUE(
      binary.addend.sizes() == output_sizes, op, "qaccum must have the output's size ",
      output_sizes, ", got ", binary.addend.sizes());
  if (quantizes(dtype)) {
    check_scale(op, "accum_scale", binary.scale);
    check_zero_point(op, "accum_zero_point", dtype, binary.zero_point);
  } else {
    QCONV_CHECK_VALUE(
        binary.scale == 1 && binary.zero_point == 0, op,
        "accum_scale and accum_zero_point must be 1 and 0 for a float qaccum, got ", binary.scale,
        " and ", binary.zero_point);
  }
}

bool writes_to_addend(const BinaryCall& binary) {
  return binary.attribute == "sum" || binary.attribute == "sum_relu";
}

}  // namespace qconv
