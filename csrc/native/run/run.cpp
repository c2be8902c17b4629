#include "native/run/run.h"

#include <algorithm>

#include "native/rounding.h"
#include "native/run/conv_run.h"
#include "native/run/dense_run.h"
#include "native/run/depthwise_run.h"
#include "native/run/left_out_sums.h"
#include "native/run/parts.h"

namespace qconv::native {
namespace {

void run_kernels(const ConvRun& run) {
  if (run.packed.layout.kind == LayoutKind::kDepthwise) {
    run_depthwise(run);
  } else {
    run_dense(run);
  }
}

// Calls use(a run whose output isn't planned).
template <typename Use>
void with_run(
    const PackedView& packed, const RunInput& input, const ParallelFor& parallel_for,
    const Use& use) {
  const RunPhases phases(packed.conv, output_size(packed.conv, input.size));
  const KernelSet& kernels = *kernel_set(best_instruction_set());
  const ReachedTaps reached(packed, input, phases.output_size(), kernels);
  ConvRun run{
      .packed = packed,
      .input = input,
      .output_size = phases.output_size(),
      .phases = phases,
      .reached = reached,
      .left_out_sums = nullptr,
      .kernels = kernels,
      .parallel_for = parallel_for,
      .plan = {}};
  use(run);
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
    const PackedView& packed, const RunInput& input, const Epilogue& epilogue,
    const RunOutput& output, const ParallelFor& parallel_for) {
  with_run(packed, input, parallel_for, [&](ConvRun& run) {
    run.left_out_sums = left_out_sums(run);
    run.plan = plan_output({packed, run.phases}, input, epilogue, output);
    run_kernels(run);
  });
}

void apply_epilogue(
    const float* reals, int64_t count, const Epilogue& epilogue, const RunOutput& output,
    const ParallelFor& parallel_for) {
  constexpr int64_t kPart = 16384;  // large enough to be worth a thread
  const KernelSet& kernels = *kernel_set(most_capable_instruction_set());
  for_each_range(
      parallel_for, parallel_for.threads, ceil_divide(count, kPart),
      [&](int64_t begin, int64_t end) {
        const int64_t first = begin * kPart;
        PointwiseArguments arguments;
        arguments.reals = reals + first;
        arguments.count = std::min(end * kPart, count) - first;
        arguments.row_elements = arguments.count;
        arguments.epilogue = epilogue;
        arguments.output = output;
        arguments.output.data =
            static_cast<uint8_t*>(output.data) + first * element_bytes(output.type);
        if (epilogue.addend.data != nullptr) {
          arguments.epilogue.addend.data = static_cast<const uint8_t*>(epilogue.addend.data) +
              first * element_bytes(epilogue.addend.type);
        }
        kernels.pointwise(arguments);
      });
}

std::string kernel_name(const PackedView& packed) {
  const KernelSet& kernels = *kernel_set(best_instruction_set());
  switch (packed.layout.kind) {
    case LayoutKind::kDepthwise:
      return "depthwise_" + std::string(instruction_set_name(kernels.depthwise_set));
    case LayoutKind::kGrouped:
      return "grouped_" + std::string(instruction_set_name(kernels.grouped_set));
    case LayoutKind::kDense:
      break;
  }
  return "dense_" + std::string(instruction_set_name(kernels.set));
}

std::string describe_run(
    const PackedView& packed, const RunInput& input, const ParallelFor& parallel_for) {
  std::string text;
  with_run(packed, input, parallel_for, [&](const ConvRun& run) {
    text = packed.layout.kind == LayoutKind::kDepthwise ? describe_depthwise(run)
                                                        : describe_dense(run);
  });
  return text;
}

}  // namespace qconv::native
