// Running for C.
#include "native/c_api_status.h"
#include "native/run/run.h"

using namespace qconv::native;

qconv_status qconv_output_size(
    const qconv_packed* packed, const int64_t input_size[3], int64_t result[3], char* message,
    size_t message_size) {
  return status_of(message, message_size, [&] {
    check_not_null(packed, "packed");
    check_not_null(input_size, "input_size");
    check_not_null(result, "output_size");
    const Extent size =
        output_size(packed->view.conv, {input_size[0], input_size[1], input_size[2]});
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
