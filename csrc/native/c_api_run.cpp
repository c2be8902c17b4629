// Running for C.
#include "native/c_api_status.h"
#include "native/run/run.h"

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
    const qconv_packed* packed, const qconv_input* input, const qconv_output* output,
    const qconv_threads* threads, char* message, size_t message_size) {
  return status_of(message, message_size, [&] {
    check_not_null(packed, "packed");
    check_not_null(input, "input");
    check_not_null(output, "output");
    checked_output_size(packed->view.conv, input->size);
    const RunInput run_input{
        .data = input->data,
        .batch = input->batch,
        .size = {input->size[0], input->size[1], input->size[2]},
        .scale = input->scale,
        .zero_point = input->zero_point};
    const RunOutput run_output{
        .data = output->data,
        .scale = output->scale,
        .zero_point = output->zero_point,
        .low = output->low,
        .high = output->high};
    const ParallelFor parallel_for = threads == nullptr
        ? ParallelFor{}
        : ParallelFor{.run = threads->run, .threads = threads->count};
    run(packed->view, run_input, run_output, parallel_for);
  });
}
