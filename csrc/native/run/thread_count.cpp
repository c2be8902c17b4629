#include "native/run/thread_count.h"

#include <algorithm>

namespace qconv::native {

int useful_threads(const ConvRun& run) {
  const Convolution& conv = run.packed.conv;
  const LayoutKind kind = run.packed.layout.kind;
  const KernelSpeed& speed = kind == LayoutKind::kDepthwise ? run.kernels.depthwise_speed
      : kind == LayoutKind::kGrouped ? kernel_set(run.kernels.grouped_set)->dense_speed
                                     : run.kernels.dense_speed;
  const auto pixels = [&](const Extent& size) {
    return static_cast<double>(run.input.batch) * static_cast<double>(size[0] * size[1] * size[2]);
  };
  const double outputs = pixels(run.output_size) * static_cast<double>(conv.out_channels);
  // Every weight meets an output, or an input of a transposed convolution, once; but for padding.
  const double multiply_adds = pixels(conv.transposed ? run.input.size : run.output_size) *
      static_cast<double>(conv.weights());
  const double microseconds = multiply_adds / speed.multiply_adds + outputs / speed.outputs;
  const int threads = std::max(1, run.parallel_for.threads);
  const double least = run.parallel_for.least_microseconds;
  return microseconds >= least * threads ? threads
                                         : std::max(1, static_cast<int>(microseconds / least));
}

}  // namespace qconv::native
