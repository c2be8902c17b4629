// Every grouped kernel that this machine can run, against the formula of kernels/dense.h written
// down naively: equal bytes over random runs and around the edges of tiles, with no access outside
// its buffers. Usage: grouped_kernels_test [runs] [seed]
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "avx_vnni_evex.h"
#include "guarded_memory.h"
#include "native/cpu/instruction_set.h"
#include "native/format/layout.h"
#include "native/kernels/kernel_set.h"
#include "native/kernels/widen.h"
#include "random.h"
#include "tested_kernels.h"

namespace qconv::native::test {
namespace {

// One run, before it has memory. Inputs of all groups lie at every pixel.
struct Run {
  int64_t inputs, outputs;  // of a group
  int64_t out_channels, pixels, pixel_stride;
  std::vector<int64_t> tap_offsets;
  std::vector<TapRun> tap_runs;
  bool zero_points, extreme;
  Store store;
  int64_t row_pitch, row_width, output_pixel_stride, row_stride;

  int64_t taps() const { return static_cast<int64_t>(tap_offsets.size()); }
  int64_t blocks() const { return (out_channels + kBlockColumns - 1) / kBlockColumns; }
  int64_t block_bytes() const { return taps() * inputs * kBlockColumns; }
  int64_t last_block() const { return (blocks() - 1) * kBlockColumns / outputs * inputs; }
  int64_t place(int64_t pixel, int64_t channel) const {
    return pixel / row_pitch * row_stride + pixel % row_pitch * output_pixel_stride + channel;
  }
  std::string text() const {
    char line[300];
    std::snprintf(
        line, sizeof(line),
        "groups of %ld and %ld, out_channels %ld, pixels %ld, taps %ld in %ld runs, zero points "
        "%d, "
        "store %d, rows of %ld of %ld",
        static_cast<long>(inputs), static_cast<long>(outputs), static_cast<long>(out_channels),
        static_cast<long>(pixels), static_cast<long>(taps()), static_cast<long>(tap_runs.size()),
        zero_points, static_cast<int>(store), static_cast<long>(row_width),
        static_cast<long>(row_pitch));
    return line;
  }
};

// Runs of neighbours anywhere, numbered in any order.
void add_taps(Run& run, int64_t count, Random& random) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  std::shuffle(numbers.begin(), numbers.end(), random.engine());
  run.tap_offsets.resize(numbers.size());
  for (int64_t next = 0; next < count;) {
    TapRun taps;
    taps.offset = random.between(0, 3 * run.pixel_stride);
    taps.count = std::min(random.between(1, TapRun::kMostTaps), count - next);
    for (int64_t i = 0; i < taps.count; ++i, ++next) {
      taps.taps[i] = numbers[static_cast<size_t>(next)];
      run.tap_offsets[static_cast<size_t>(taps.taps[i])] = taps.offset + i * run.pixel_stride;
    }
    run.tap_runs.push_back(taps);
  }
}

Run random_run(int64_t pixels, int64_t groups, Random& random) {
  constexpr int64_t kGroups[][2] = {{4, 4},  {4, 8},  {8, 8},   {12, 8},
                                    {4, 16}, {8, 16}, {12, 16}, {16, 16}};
  const auto& group = kGroups[random.between(0, 7)];
  Run run{};
  run.inputs = group[0];
  run.outputs = group[1];
  run.out_channels = groups * run.outputs;
  run.pixels = pixels;
  run.pixel_stride = groups * run.inputs + random.between(0, 40);
  add_taps(run, random.chance(0.1) ? random.between(30, 90) : random.between(1, 12), random);
  run.zero_points = random.chance(0.3);
  run.extreme = random.chance(0.2);
  run.store = random.chance(0.3) ? Store::kSums
      : random.chance(0.3)       ? Store::kBytesAdded
                                 : Store::kBytes;
  run.row_pitch = random.chance(0.5) ? pixels : random.between(1, pixels);
  run.row_width = random.chance(0.5) ? run.row_pitch : random.between(1, run.row_pitch);
  run.output_pixel_stride = run.out_channels + (random.chance(0.5) ? 0 : random.between(1, 20));
  run.row_stride = run.row_width * run.output_pixel_stride + random.between(0, 1) * 7;
  return run;
}

// The memory of a run, and what its output must become.
class RunMemory {
 public:
  RunMemory(const Run& run, const TestedKernel& kernel, Random& random)
      : run_(run),
        activations_(
            (run.pixels - 1) * run.pixel_stride +
            *std::max_element(run.tap_offsets.begin(), run.tap_offsets.end()) + run.last_block() +
            run.inputs - kQuad + kGroupedReach),
        elements_(run.place(run.pixels - 1, run.out_channels)),
        factors_(static_cast<size_t>((run.blocks() + 1) * kBlockColumns)),
        activation_(static_cast<size_t>(activations_)),
        wide_activation_(static_cast<size_t>(2 * activations_)),
        weight_(static_cast<size_t>(run.blocks() * run.block_bytes() + 64)),
        multiplier_(factors_ * sizeof(float)),
        offset_(factors_ * sizeof(float)),
        zero_points_(factors_ * sizeof(int32_t)),
        addend_(static_cast<size_t>(elements_)),
        output_(static_cast<size_t>(elements_ * element_bytes(run.store))) {
    for (int64_t i = 0; i < activations_; ++i) {
      activation_.as<uint8_t>()[i] = static_cast<uint8_t>(
          run.extreme ? kernel.largest_activation : random.between(0, kernel.largest_activation));
    }
    widen_activations(activation_.as<uint8_t>(), activations_, wide_activation_.as<uint16_t>());
    const auto extreme_weight = static_cast<int8_t>(random.chance(0.5) ? 127 : -128);
    for (int64_t i = 0; i < run.blocks() * run.block_bytes() + 64; ++i) {
      weight_.as<int8_t>()[i] =
          run.extreme ? extreme_weight : static_cast<int8_t>(random.between(-128, 127));
    }
    const double spread = 80 / (std::sqrt(run.taps() * run.inputs) * 255 * 128 / 3);
    for (size_t i = 0; i < factors_; ++i) {
      multiplier_.as<float>()[i] = static_cast<float>(spread * random.between(1, 20) / 5);
      offset_.as<float>()[i] = static_cast<float>(random.between(-1000, 1000)) / 10;
      zero_points_.as<int32_t>()[i] = static_cast<int32_t>(random.between(-128, 127));
    }
    for (int64_t i = 0; i < elements_; ++i) {
      addend_.as<uint8_t>()[i] = static_cast<uint8_t>(random.between(0, 255));
    }
    requantization_.multiplier = multiplier_.as<float>();
    requantization_.offset = offset_.as<float>();
    requantization_.zero_point = static_cast<int32_t>(random.between(0, 255));
    requantization_.low = static_cast<int32_t>(random.between(0, 100));
    requantization_.high = static_cast<int32_t>(random.between(requantization_.low, 255));
    requantization_.addend_multiplier = 0.5F;
  }

  // Empty, or what was wrong.
  std::string check(const TestedKernel& kernel) {
    std::memset(output_.data(), 0xa5, static_cast<size_t>(elements_ * element_bytes(run_.store)));
    DenseArguments arguments;
    arguments.activation =
        kernel.wide_activations ? wide_activation_.as<void>() : activation_.as<void>();
    arguments.pixels = run_.pixels;
    arguments.pixel_stride = run_.pixel_stride;
    arguments.tap_offsets = run_.tap_offsets.data();
    arguments.taps = run_.taps();
    arguments.weight = weight_.as<int8_t>();
    arguments.block_stride = run_.block_bytes();
    arguments.k_blocks = 1;
    arguments.quads = arguments.used_quads = run_.inputs / kQuad;
    arguments.out_channels = run_.out_channels;
    arguments.weight_zero_points = run_.zero_points ? zero_points_.as<int32_t>() : nullptr;
    arguments.group_outputs = run_.outputs;
    arguments.group_inputs = run_.inputs;
    arguments.tap_runs = run_.tap_runs.data();
    arguments.tap_run_count = static_cast<int64_t>(run_.tap_runs.size());
    arguments.store = run_.store;
    if (run_.store != Store::kSums) {
      arguments.requantization = requantization_;
    }
    arguments.output = {
        output_.data(), run_.output_pixel_stride, run_.row_stride, run_.row_pitch, run_.row_width};
    arguments.addend = run_.store == Store::kBytesAdded ? addend_.data() : nullptr;
    kernel.run(arguments);
    return compare();
  }

 private:
  int32_t sum(int64_t pixel, int64_t channel) const {
    const uint8_t* const values = activation_.as<uint8_t>() + pixel * run_.pixel_stride +
        channel / run_.outputs * run_.inputs;
    int64_t sum = 0;
    for (int64_t tap = 0; tap < run_.taps(); ++tap) {
      for (int64_t k = 0; k < run_.inputs; ++k) {
        const int64_t quad = tap * (run_.inputs / kQuad) + k / kQuad;
        const int64_t place = channel / kBlockColumns * run_.block_bytes() +
            (quad * kBlockColumns + channel % kBlockColumns) * kQuad + k % kQuad;
        const int64_t zero_point = run_.zero_points ? zero_points_.as<int32_t>()[channel] : 0;
        sum += values[run_.tap_offsets[static_cast<size_t>(tap)] + k] *
            (weight_.as<int8_t>()[place] - zero_point);
      }
    }
    return static_cast<int32_t>(sum);
  }

  int64_t expected(int64_t place, int64_t pixel, int64_t channel) const {
    const int32_t total = sum(pixel, channel);
    if (run_.store == Store::kSums) {
      return total;
    }
    float value = std::fma(
        static_cast<float>(total), requantization_.multiplier[channel],
        requantization_.offset[channel]);
    if (run_.store == Store::kBytesAdded) {
      value = std::fma(
          static_cast<float>(addend_.as<uint8_t>()[place]), requantization_.addend_multiplier,
          value);
    }
    return std::clamp<int64_t>(
        std::llrint(value) + requantization_.zero_point, requantization_.low, requantization_.high);
  }

  std::string compare() const {
    const bool sums = run_.store == Store::kSums;
    const int64_t kept = sums ? static_cast<int32_t>(0xa5a5a5a5) : 0xa5;
    std::vector<int64_t> all(static_cast<size_t>(elements_), kept);
    for (int64_t p = 0; p < run_.pixels; ++p) {
      for (int64_t c = 0; p % run_.row_pitch < run_.row_width && c < run_.out_channels; ++c) {
        const int64_t place = run_.place(p, c);
        all[static_cast<size_t>(place)] = expected(place, p, c);
      }
    }
    for (int64_t i = 0; i < elements_; ++i) {
      const int64_t got = sums ? output_.as<int32_t>()[i] : output_.as<uint8_t>()[i];
      if (got != all[static_cast<size_t>(i)]) {
        return "output " + std::to_string(i) + " is " + std::to_string(got) + " instead of " +
            std::to_string(all[static_cast<size_t>(i)]);
      }
    }
    return "";
  }

  Run run_;
  int64_t activations_;
  int64_t elements_;
  size_t factors_;
  GuardedMemory activation_, wide_activation_, weight_, multiplier_, offset_, zero_points_;
  GuardedMemory addend_, output_;
  Requantization requantization_;
};

bool check_run(const Run& run, const std::vector<TestedKernel>& all, Random& random) {
  bool right = true;
  for (const TestedKernel& kernel : all) {
    const std::string fault = RunMemory(run, kernel, random).check(kernel);
    if (!fault.empty()) {
      std::printf("%s: %s (%s)\n", kernel.name.c_str(), fault.c_str(), run.text().c_str());
      right = false;
    }
  }
  return right;
}

int test(int64_t runs, uint64_t seed) {
  const std::vector<TestedKernel> all =
      tested_kernels(&KernelSet::grouped, &KernelSet::grouped_below_128, grouped_avx_vnni_evex);
  print_kernels(seed, all);
  Random random(seed);
  bool right = true;
  for (int64_t pixels = 1; pixels <= 33; ++pixels) {
    for (int64_t groups = 1; groups <= 9; ++groups) {
      right = check_run(random_run(pixels, groups, random), all, random) && right;
    }
  }
  for (int64_t i = 0; i < runs; ++i) {
    const int64_t pixels = random.chance(0.1) ? random.between(250, 530) : random.between(1, 60);
    right = check_run(random_run(pixels, random.between(1, 20), random), all, random) && right;
  }
  std::printf(right ? "all right\n" : "WRONG\n");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace qconv::native::test

int main(int count, char** arguments) {
  const int64_t runs = count > 1 ? std::stoll(arguments[1]) : 1000;
  const uint64_t seed = count > 2 ? std::stoull(arguments[2]) : std::random_device()();
  return qconv::native::test::test(runs, seed);
}
