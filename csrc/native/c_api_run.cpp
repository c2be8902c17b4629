// Running for C.
#include <cmath>

#include "native/c_api_status.h"
#include "native/format/value_rules.h"
#include "native/run/run.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

Extent checked_output_size(const Convolution& conv, const int64_t (&input)[3]) {
  constexpr const char* kDimensionNames[] = {"depth", "height", "width"};
  const Extent size = output_size(conv, {input[0], input[1], input[2]});
  for (size_t i = 0; i < size.size(); ++i) {
    if (input[i] < 1 || size[i] < 1) {
      throw std::invalid_argument(
          std::string("input size of ") + kDimensionNames[i] +
          " must give an output of at least 1, got " + std::to_string(input[i]) + ", which gives " +
          std::to_string(size[i]));
    }
  }
  return size;
}

[[noreturn]] void refuse(const char* name, const std::string& expected, const std::string& got) {
  throw std::invalid_argument(std::string(name) + " must be " + expected + ", got " + got);
}

ElementType type_of(const char* name, qconv_type type) {
  if (type < QCONV_UINT8 || type > QCONV_BFLOAT16) {
    refuse(name, "a qconv_type", std::to_string(type));
  }
  return static_cast<ElementType>(type);
}

// `name`: of what has the scale and the zero point.
void check_quantization(
    const std::string& name, ElementType type, double scale, int32_t zero_point) {
  if (!is_quantized(type)) {
    return;
  }
  if (!is_scale(scale)) {
    refuse((name + "->scale").c_str(), "positive, finite and normal", std::to_string(scale));
  }
  if (zero_point < smallest_of(type) || zero_point > largest_of(type)) {
    refuse(
        (name + "->zero_point").c_str(),
        "from " + std::to_string(smallest_of(type)) + " to " + std::to_string(largest_of(type)),
        std::to_string(zero_point));
  }
}

RunInput input_of(const qconv_input& input) {
  const ElementType type = type_of("input->type", input.type);
  if (!is_quantized(type)) {
    refuse("input->type", "QCONV_UINT8 or QCONV_INT8", std::to_string(input.type));
  }
  check_quantization("input", type, input.scale, input.zero_point);
  return {
      .data = input.data,
      .type = type,
      .batch = input.batch,
      .size = {input.size[0], input.size[1], input.size[2]},
      .scale = input.scale,
      .zero_point = input.zero_point};
}

RunOutput output_of(const qconv_output& output) {
  const ElementType type = type_of("output->type", output.type);
  check_quantization("output", type, output.scale, output.zero_point);
  return {output.data, type, output.scale, output.zero_point};
}

Epilogue epilogue_of(const qconv_epilogue& epilogue) {
  if (epilogue.function < QCONV_NONE || epilogue.function > QCONV_GELU_TANH) {
    refuse("epilogue->function", "a qconv_function", std::to_string(epilogue.function));
  }
  if (epilogue.function == QCONV_HARDTANH && !(epilogue.lower <= epilogue.upper)) {
    refuse(
        "epilogue->lower", "at most epilogue->upper",
        std::to_string(epilogue.lower) + " and " + std::to_string(epilogue.upper));
  }
  if (epilogue.function == QCONV_LEAKY_RELU && !std::isfinite(epilogue.slope)) {
    refuse("epilogue->slope", "finite", std::to_string(epilogue.slope));
  }
  Epilogue result;
  result.function = static_cast<PointwiseFunction>(epilogue.function);
  result.lower = epilogue.lower;
  result.upper = epilogue.upper;
  result.slope = epilogue.slope;
  if (epilogue.addend.data != nullptr) {
    const ElementType type = type_of("epilogue->addend.type", epilogue.addend.type);
    check_quantization("epilogue->addend", type, epilogue.addend.scale, epilogue.addend.zero_point);
    result.addend = {epilogue.addend.data, type, epilogue.addend.scale, epilogue.addend.zero_point};
  }
  return result;
}

}  // namespace
}  // namespace qconv::native

using namespace qconv::native;

qconv_status qconv_output_size(
    const qconv_packed* packed, const int64_t input_size[3], int64_t result[3], char* message,
    size_t message_size) {
  return status_of(message, message_size, [&] {
    check_not_null(packed, "packed");
    check_not_null(input_size, "input_size");
    check_not_null(result, "output_size");
    const int64_t sizes[3] = {input_size[0], input_size[1], input_size[2]};
    const Extent size = checked_output_size(packed->view.conv, sizes);
    std::copy(size.begin(), size.end(), result);
  });
}

qconv_status qconv_run(
    const qconv_packed* packed, const qconv_input* input, const qconv_epilogue* epilogue,
    const qconv_output* output, const qconv_threads* threads, char* message, size_t message_size) {
  return status_of(message, message_size, [&] {
    check_not_null(packed, "packed");
    check_not_null(input, "input");
    check_not_null(output, "output");
    checked_output_size(packed->view.conv, input->size);
    const ParallelFor parallel_for = threads == nullptr
        ? ParallelFor{}
        : ParallelFor{.run = threads->run, .threads = threads->count};
    run(packed->view, input_of(*input), epilogue == nullptr ? Epilogue{} : epilogue_of(*epilogue),
        output_of(*output), parallel_for);
  });
}

size_t qconv_release_scratch(void) {
  return release_scratch();
}
