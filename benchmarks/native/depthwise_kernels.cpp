// Speed of the depthwise kernels through their driver, one thread, warm: microseconds on the layers
// of MobileNetV2 and EfficientNet-B0, medians of interleaved runs.
//
//   bench_depthwise_kernels [seconds for each layer]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "avx_vnni_evex.h"
#include "native/cpu/instruction_set.h"
#include "native/kernels/kernel_set.h"
#include "native/run/depthwise_run.h"
#include "native/run/output_plan.h"
#include "random_layer.h"

namespace qconv::native {
namespace {

struct Layer {
  int64_t channels, kernel, stride, size;
};

constexpr Layer kLayers[] = {
    {32, 3, 1, 112},  // MobileNetV2
    {96, 3, 2, 112}, {144, 3, 1, 56}, {144, 3, 2, 56}, {192, 3, 1, 28},
    {192, 3, 2, 28}, {384, 3, 1, 14}, {576, 3, 1, 14}, {576, 3, 2, 14},
    {960, 3, 1, 7},  {144, 5, 2, 56},  // EfficientNet-B0
    {240, 5, 1, 28}, {480, 5, 1, 14}, {672, 5, 1, 14}, {672, 5, 2, 14},
    {1152, 5, 1, 7},
};

struct NamedKernels {
  std::string name;
  KernelSet kernels;
};

std::vector<NamedKernels> all_kernels() {
  std::vector<NamedKernels> all;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (entry.supported && entry.set != InstructionSet::kScalar) {
      all.push_back({entry.name, *kernel_set(entry.set)});
    }
#if defined(__x86_64__)
    if (entry.supported && entry.set == InstructionSet::kAvx512Vnni) {
      all.push_back({"avx_vnni (EVEX)", {}});
      all.back().kernels.depthwise = depthwise_avx_vnni_evex;
    }
#endif
  }
  return all;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const Layer& layer, std::vector<NamedKernels>& all, double duration) {
  const RandomLayer random(
      layer.channels, layer.channels, layer.channels, layer.kernel, layer.stride, layer.size, 0.01,
      1);
  const PackedView& packed = random.packed;
  RunInput input = random.input;
  const Extent& size = random.output_extent;
  std::vector<uint8_t> bytes(static_cast<size_t>(size[1] * size[2] * layer.channels));
  RunOutput output;
  output.data = bytes.data();
  output.scale = 0.3;
  output.zero_point = 10;
  Epilogue epilogue;
  epilogue.function = PointwiseFunction::kRelu;
  const ParallelFor one_thread;
  const RunPhases phases(packed.conv, size);
  const ReachedTaps reached(packed, size);
  const auto run = [&](const KernelSet& kernels) {
    run_depthwise(
        {.packed = packed,
         .input = input,
         .output_size = size,
         .phases = phases,
         .reached = reached,
         .left_out_sums = nullptr,
         .kernels = kernels,
         .parallel_for = one_thread,
         .plan = plan_output({packed, phases}, input, epilogue, output)});
  };
  constexpr int kRuns = 4;
  std::vector<std::vector<double>> times(all.size());
  for (const double end = seconds() + duration; seconds() < end;) {
    for (size_t i = 0; i < all.size(); ++i) {
      run(all[i].kernels);  // brings what it uses into the caches
      const double begin = seconds();
      for (int j = 0; j < kRuns; ++j) {
        run(all[i].kernels);
      }
      times[i].push_back((seconds() - begin) / kRuns);
    }
  }
  std::printf(
      "%4d %dx%d s%d %3d", static_cast<int>(layer.channels), static_cast<int>(layer.kernel),
      static_cast<int>(layer.kernel), static_cast<int>(layer.stride), static_cast<int>(layer.size));
  for (std::vector<double>& kernel_times : times) {
    std::printf(" %15.2f", median(kernel_times) * 1e6);
  }
  std::printf("\n");
}

void measure_all(double duration) {
  std::vector<NamedKernels> all = all_kernels();
  std::printf("%-15s", "us");
  for (const NamedKernels& kernels : all) {
    std::printf(" %15s", kernels.name.c_str());
  }
  std::printf("\n");
  for (const Layer& layer : kLayers) {
    measure(layer, all, duration);
  }
}

}  // namespace
}  // namespace qconv::native

int main(int argc, char** argv) {
  qconv::native::measure_all(argc > 1 ? std::atof(argv[1]) : 0.3);
  return 0;
}
