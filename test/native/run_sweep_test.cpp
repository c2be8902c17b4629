// Random convolutions of every kind, run with every instruction set that this machine has, against
// float64: equal except within 1e-3 quanta of a rounding tie, and there off by 1 at most. All
// instruction sets and numbers of threads must give the same bytes. Inputs end at a page that can't
// be read, outputs at one that can't be written.
//
//   run_sweep_test [cases] [seed]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "guarded_memory.h"
#include "native/cpu/instruction_set.h"
#include "native/kernels/kernel_set.h"
#include "packing.h"

namespace qconv::native::test {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // In [low, high].
  int64_t integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool chance(int percent) { return integer(1, 100) <= percent; }
  template <typename T, size_t kCount>
  T one_of(const T (&values)[kCount]) {
    return values[integer(0, kCount - 1)];
  }

 private:
  std::mt19937_64 engine_;
};

// Sizes around the edges of every block: 4 (quads), 14 and 16 and 32 (tiles), 64 (k blocks).
int64_t channels(Random& random) {
  constexpr int64_t kEdges[] = {1, 4, 8, 12, 16, 32, 48, 64, 96, 128, 192};
  return std::max<int64_t>(1, random.one_of(kEdges) + random.integer(-1, 1));
}

Convolution random_convolution(Random& random) {
  Convolution conv;
  constexpr int64_t kKernels[] = {1, 1, 1, 3, 3, 3, 2, 4, 5, 7};
  const bool three_dims = random.chance(10);
  conv.spatial_dims = three_dims ? 3 : 2;
  const bool square = random.chance(70);
  for (int i = three_dims ? 0 : 1; i < 3; ++i) {
    const int64_t bound = three_dims ? 3 : 7;
    conv.kernel[i] = square && i == 2 ? conv.kernel[1] : std::min(bound, random.one_of(kKernels));
    conv.stride[i] = random.chance(60) ? 1 : random.integer(1, 3);
    conv.dilation[i] = random.chance(80) ? 1 : random.integer(1, 3);
    conv.padding[i] = random.chance(60) ? conv.kernel[i] / 2 : random.integer(0, 4);
  }
  const int kind = static_cast<int>(random.integer(0, 9));
  conv.transposed = random.chance(35);
  if (kind <= 5) {
    conv.in_channels = kind == 0 ? random.integer(1, 4) : channels(random);
    conv.out_channels = channels(random);
  } else if (kind <= 7) {
    conv.groups = conv.in_channels = conv.out_channels = random.integer(2, 140);
  } else {
    // Groups of few channels are packed together.
    const bool small = random.chance(50);
    conv.groups = small ? random.integer(2, 40) : random.integer(2, 5);
    conv.in_channels = conv.groups * random.integer(1, small ? 9 : 40);
    conv.out_channels = conv.groups * random.integer(1, small ? 9 : 40);
  }
  if (conv.kernel[2] * conv.kernel[1] >= 25 && conv.groups == 1) {
    conv.in_channels = std::min<int64_t>(conv.in_channels, 20);
  }
  for (int i = three_dims ? 0 : 1; conv.transposed && i < 3; ++i) {
    // A stride of the kernel's size, as networks have it; smaller, larger, with and without a
    // common divisor with the dilation.
    conv.stride[i] = random.chance(40) ? conv.kernel[i] : random.integer(1, 5);
    conv.padding[i] = random.chance(40) ? 0 : random.integer(0, three_dims ? 2 : 4);
    conv.output_padding[i] =
        random.chance(60) ? 0 : random.integer(0, std::max(conv.stride[i], conv.dilation[i]) - 1);
  }
  return conv;
}

Problem random_problem(Random& random, const Convolution& conv) {
  Problem problem{.conv = conv, .weight = {}, .scales = {}, .zero_points = {}, .bias = {}};
  const bool extreme = random.chance(20);  // nothing but the ends of the range
  for (int64_t i = 0; i < conv.weights(); ++i) {
    problem.weight.push_back(
        static_cast<int8_t>(
            extreme ? (random.chance(50) ? 127 : -128) : random.integer(-128, 127)));
  }
  const double depth = static_cast<double>(conv.in_channels_per_group() * conv.taps());
  for (int64_t i = random.chance(50) ? 1 : conv.out_channels; i > 0; --i) {
    problem.scales.push_back(static_cast<double>(random.integer(50, 200)) / 100 / std::sqrt(depth));
  }
  const bool asymmetric = random.chance(25);
  for (int64_t i = random.chance(50) ? 1 : conv.out_channels; i > 0; --i) {
    problem.zero_points.push_back(asymmetric ? static_cast<int32_t>(random.integer(-128, 127)) : 0);
  }
  for (int64_t i = random.chance(70) ? conv.out_channels : 0; i > 0; --i) {
    problem.bias.push_back(static_cast<float>(random.integer(-1000, 1000)) * 5);
  }
  return problem;
}

std::string describe(const Problem& problem, const RunInput& input) {
  const Convolution& conv = problem.conv;
  char text[500];
  std::snprintf(
      text, sizeof(text),
      "%sin %ld out %ld groups %ld kernel %ldx%ldx%ld stride %ld,%ld,%ld padding %ld,%ld,%ld "
      "dilation "
      "%ld,%ld,%ld output padding %ld,%ld,%ld batch %ld size %ldx%ldx%ld zero points %d, %d",
      conv.transposed ? "transposed, " : "", conv.in_channels, conv.out_channels, conv.groups,
      conv.kernel[0], conv.kernel[1], conv.kernel[2], conv.stride[0], conv.stride[1],
      conv.stride[2], conv.padding[0], conv.padding[1], conv.padding[2], conv.dilation[0],
      conv.dilation[1], conv.dilation[2], conv.output_padding[0], conv.output_padding[1],
      conv.output_padding[2], input.batch, input.size[0], input.size[1], input.size[2],
      input.zero_point, problem.zero_points[0]);
  return text;
}

// Returns the number of outputs that are wrong.
int64_t wrong_outputs(
    const std::vector<double>& real, const uint8_t* output, const RunOutput& place) {
  int64_t wrong = 0;
  for (size_t i = 0; i < real.size(); ++i) {
    const double value = real[i] / place.scale;
    const double expected =
        std::clamp<double>(std::nearbyint(value) + place.zero_point, place.low, place.high);
    const bool tie = std::abs(std::abs(value - std::floor(value)) - 0.5) < 1e-3;
    wrong += std::abs(expected - output[i]) > (tie ? 1 : 0);
  }
  return wrong;
}

// Parts one by one, from the last to the first: what threads may do.
void run_backward(int64_t count, ParallelFor::Body body, void* context) {
  for (int64_t i = count; i-- > 0;) {
    body(context, i, i + 1);
  }
}

bool run_case(Random& random) {
  const Problem problem = random_problem(random, random_convolution(random));
  const Convolution& conv = problem.conv;
  RunInput input;
  input.batch = random.chance(80) ? 1 : random.integer(2, 3);
  for (int i = conv.spatial_dims == 3 ? 0 : 1; i < 3; ++i) {
    const int64_t window = conv.dilation[i] * (conv.kernel[i] - 1) + 1;
    const int64_t least = std::max<int64_t>(1, window - 2 * conv.padding[i]);
    input.size[i] = least + random.integer(0, conv.spatial_dims == 3 ? 5 : 17);
    if (conv.transposed) {
      input.size[i] = random.integer(1, conv.spatial_dims == 3 ? 5 : 12);
      while (output_size(conv, input.size)[i] < 1) {
        ++input.size[i];
      }
    }
  }
  input.scale = 0.02;
  input.zero_point = static_cast<int32_t>(random.chance(30) ? 0 : random.integer(0, 255));
  const int64_t input_bytes =
      input.batch * input.size[0] * input.size[1] * input.size[2] * conv.in_channels;
  GuardedMemory activation(input_bytes);
  const bool extreme = random.chance(20);
  for (int64_t i = 0; i < input_bytes; ++i) {
    activation.as<uint8_t>()[i] =
        static_cast<uint8_t>(extreme ? (random.chance(50) ? 255 : 0) : random.integer(0, 255));
  }
  input.data = activation.as<uint8_t>();

  const Extent size = output_size(conv, input.size);
  const std::vector<double> real = convolve_reference(problem, input, size);
  double mean = 0;
  for (double value : real) {
    mean += std::abs(value) / static_cast<double>(real.size());
  }
  RunOutput output;
  output.scale = std::max(mean, 0.01) / 60;
  output.zero_point = static_cast<int32_t>(random.integer(0, 255));
  output.low = random.chance(50) ? static_cast<uint8_t>(output.zero_point) : 0;

  const PackSource source = source_of(problem);
  PackedMemory buffer(packed_size(source));
  pack(source, buffer.data(), buffer.size());
  const PackedView packed = view_packed(buffer.data(), buffer.size(), true);
  bool right = true;
  std::vector<uint8_t> first;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (!entry.supported) {
      continue;
    }
    setenv("TORCH_QCONV_ISA", entry.name, 1);
    GuardedMemory memory(static_cast<int64_t>(real.size()));
    output.data = memory.as<uint8_t>();
    run(packed, input, output, {});
    if (const int64_t wrong = wrong_outputs(real, output.data, output)) {
      std::printf(
          "%s: %ld of %zu outputs wrong: %s\n", entry.name, wrong, real.size(),
          describe(problem, input).c_str());
      right = false;
    }
    if (first.empty()) {
      first.assign(output.data, output.data + real.size());
    }
    if (!std::equal(first.begin(), first.end(), output.data)) {
      std::printf(
          "%s: another result than scalar: %s\n", entry.name, describe(problem, input).c_str());
      right = false;
    }
    GuardedMemory other(real.size());
    RunOutput threaded = output;
    threaded.data = other.as<uint8_t>();
    const int threads = static_cast<int>(random.integer(2, 9));
    run(packed, input, threaded, {.run = run_backward, .threads = threads});
    if (!std::equal(threaded.data, threaded.data + real.size(), output.data)) {
      std::printf(
          "%s: another result with %d threads: %s\n", entry.name, threads,
          describe(problem, input).c_str());
      right = false;
    }
    GuardedMemory floats(static_cast<int64_t>(real.size() * sizeof(float)));
    auto* const values = floats.as<float>();
    run_to_float(packed, input, values, {});
    for (size_t i = 0; i < real.size(); ++i) {
      // float32's rounding, and float64's where a bias cancels the sum.
      if (std::abs(values[i] - real[i]) > std::abs(real[i]) * 6e-8 + mean * 1e-12) {
        std::printf(
            "%s: float output %zu is %g, expected %g: %s\n", entry.name, i, values[i], real[i],
            describe(problem, input).c_str());
        right = false;
        break;
      }
    }
  }
  return right;
}

}  // namespace
}  // namespace qconv::native::test

int main(int argc, char** argv) {
  const long cases = argc > 1 ? std::atol(argv[1]) : 500;
  const unsigned long seed = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : std::random_device()();
  std::printf("%ld cases, seed %lu; instruction sets:", cases, seed);
  for (const auto& entry : qconv::native::instruction_sets()) {
    std::printf(entry.supported ? " %s" : "", entry.name);
  }
  std::printf("\n");
  long wrong = 0;
  for (long i = 0; i < cases; ++i) {
    qconv::native::test::Random random(seed + static_cast<unsigned long>(i));
    if (!qconv::native::test::run_case(random)) {
      std::printf("case %ld: repeat with: run_sweep_test 1 %lu\n", i, seed + i);
      ++wrong;
    }
  }
  std::printf("%ld of %ld cases wrong\n", wrong, cases);
  return wrong == 0 ? 0 : 1;
}
