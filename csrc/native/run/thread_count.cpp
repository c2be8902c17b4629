#include "native/run/thread_count.h"

#include <algorithm>

namespace qconv::native {
namespace {

// What several threads must gain, at least: a team of OpenMP's starts and meets again in 1 to 5 us
// (2 to 16 threads, libgomp), waits for its slowest thread, and finds the activation and the
// output's memory in caches of other cores.
double least_gain(int threads) {
  return 3 + 0.75 * threads;
}

}  // namespace

double run_microseconds(const ConvRun& run) {
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
      static_cast<double>(conv.weights()) * run.reached.share();
  return multiply_adds / speed.multiply_adds + outputs / speed.outputs;
}

int useful_threads(const ConvRun& run) {
  const int threads = std::max(1, run.parallel_for.threads);
  const double least = run.parallel_for.least_microseconds;
  if (least == 0) {
    return threads;
  }
  const double microseconds = run_microseconds(run);
  const double useful = std::clamp(microseconds / least, 1.0, static_cast<double>(threads));
  const double gain = microseconds * (1 - 1 / useful);
  return gain < least_gain(threads) ? 1 : static_cast<int>(useful);
}

}  // namespace qconv::native
