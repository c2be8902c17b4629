#include "native/run/thread_count.h"

#include <algorithm>

namespace qconv::native {
namespace {

// OpenMP's threads start and meet again in 2 to 5 us, the more the longer (16 threads, libgomp).
constexpr double kLeastMicroseconds = 5;

}  // namespace

int useful_threads(const ConvRun& run) {
  const Convolution& conv = run.packed.conv;
  const bool depthwise = run.packed.layout.kind == LayoutKind::kDepthwise;
  const KernelSpeed& speed = depthwise ? run.kernels.depthwise_speed : run.kernels.dense_speed;
  double outputs = static_cast<double>(run.input.batch * conv.out_channels);
  for (int64_t size : run.output_size) {
    outputs *= static_cast<double>(size);
  }
  const auto depth = static_cast<double>(conv.in_channels_per_group() * conv.taps());
  const double microseconds = outputs * (depth / speed.multiply_adds + 1 / speed.outputs);
  const double threads = microseconds / kLeastMicroseconds;
  return threads < run.parallel_for.threads ? std::max(1, static_cast<int>(threads))
                                            : std::max(1, run.parallel_for.threads);
}

}  // namespace qconv::native
