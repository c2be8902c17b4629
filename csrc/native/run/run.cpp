#include "native/run/run.h"

#include <memory>

#include "native/run/conv_run.h"
#include "native/run/dense_run.h"
#include "native/run/depthwise_run.h"

namespace qconv::native {
namespace {

void run_kernels(const ConvRun& run) {
  if (run.packed.layout.kind == LayoutKind::kDepthwise) {
    run_depthwise(run);
  } else {
    run_dense(run);
  }
}

}  // namespace

Extent output_size(const Convolution& conv, const Extent& input_size) {
  Extent size;
  for (int i = 0; i < 3; ++i) {
    const int64_t window = conv.dilation[i] * (conv.kernel[i] - 1) + 1;
    size[i] = conv.transposed ? (input_size[i] - 1) * conv.stride[i] - 2 * conv.padding[i] +
            window + conv.output_padding[i]
                              : (input_size[i] + 2 * conv.padding[i] - window) / conv.stride[i] + 1;
  }
  return size;
}

void run(
    const PackedView& packed, const RunInput& input, const RunOutput& output,
    const ParallelFor& parallel_for) {
  const RunPhases phases(packed.conv, output_size(packed.conv, input.size));
  const RequantizationTable table = requantization_table(packed, phases, input, output);
  ConvRun run{
      .packed = packed,
      .input = input,
      .output_size = phases.output_size(),
      .phases = phases,
      .kernels = *kernel_set(best_instruction_set()),
      .parallel_for = parallel_for,
      .requantization = table.requantization,
      .requantization_stride = table.phase_stride,
      .weight_zero_points = table.weight_zero_points,
      .output = output.data};
  if (table.exact_in_float32) {
    run_kernels(run);
    return;
  }
  const Extent& size = run.output_size;
  const auto sums = std::make_unique_for_overwrite<int32_t[]>(
      static_cast<size_t>(input.batch * size[0] * size[1] * size[2] * packed.conv.out_channels));
  run.output = sums.get();
  run.to_sums = true;
  run_kernels(run);
  requantize_exactly(packed, phases, input, sums.get(), output);
}

void run_to_float(
    const PackedView& packed, const RunInput& input, float* output,
    const ParallelFor& parallel_for) {
  const RunPhases phases(packed.conv, output_size(packed.conv, input.size));
  const ConvRun run{
      .packed = packed,
      .input = input,
      .output_size = phases.output_size(),
      .phases = phases,
      .kernels = *kernel_set(best_instruction_set()),
      .parallel_for = parallel_for,
      .requantization = {},
      .weight_zero_points = weight_zero_point_table(packed),
      .output = output,
      .to_sums = true};
  run_kernels(run);
  sums_to_float(packed, phases, input, reinterpret_cast<const int32_t*>(output), output);
}

std::string kernel_name(const PackedView& packed) {
  const KernelSet& kernels = *kernel_set(best_instruction_set());
  return packed.layout.kind == LayoutKind::kDepthwise
      ? "depthwise_" + std::string(instruction_set_name(kernels.depthwise_set))
      : "dense_" + std::string(instruction_set_name(kernels.set));
}

std::string describe_run(
    const PackedView& packed, const RunInput& input, const ParallelFor& parallel_for) {
  const RunPhases phases(packed.conv, output_size(packed.conv, input.size));
  const ConvRun run{
      .packed = packed,
      .input = input,
      .output_size = phases.output_size(),
      .phases = phases,
      .kernels = *kernel_set(best_instruction_set()),
      .parallel_for = parallel_for,
      .requantization = {}};
  return packed.layout.kind == LayoutKind::kDepthwise ? describe_depthwise(run)
                                                      : describe_dense(run);
}

}  // namespace qconv::native
