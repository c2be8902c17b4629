// Random convolutions of every kind, with every function, type of addend and type of output, run
// with every instruction set that this machine has, against float64: equal except within 1e-3
// quanta of a rounding tie (2e-3 with functions other than clamps), and there off by 1 at most;
// floats are the nearest ones. All instruction sets, and any number of threads, must give the same
// bytes. Inputs and addends end at a page that can't be read, outputs at one that can't be written.
//
//   run_sweep_test [cases] [seed]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "guarded_memory.h"
#include "native/cpu/instruction_set.h"
#include "native/kernels/kernel_set.h"
#include "native/rounding.h"
#include "native/run/reached_taps.h"
#include "packing.h"
#include "pointwise_reference.h"
#include "random.h"

namespace qconv::native::test {
namespace {

// Sizes around the edges of every block: 4 (quads), 14 and 16 and 32 (tiles), 64 (k blocks).
int64_t channels(Random& random) {
  constexpr int64_t kEdges[] = {1, 4, 8, 12, 16, 32, 48, 64, 96, 128, 192};
  return std::max<int64_t>(1, random.one_of(kEdges) + random.between(-1, 1));
}

Convolution random_convolution(Random& random) {
  Convolution conv;
  constexpr int64_t kKernels[] = {1, 1, 1, 3, 3, 3, 2, 4, 5, 7};
  const bool three_dims = random.chance(0.1);
  conv.spatial_dims = three_dims ? 3 : 2;
  const bool square = random.chance(0.7);
  // Of some, taps lie so far apart that most of them are in the padding for some outputs.
  const bool far = random.chance(0.15);
  const bool unstrided = random.chance(0.5);
  const bool unpadded = random.chance(0.1);
  for (int i = three_dims ? 0 : 1; i < 3; ++i) {
    const int64_t bound = three_dims ? 3 : 7;
    conv.kernel[i] = square && i == 2 ? conv.kernel[1] : std::min(bound, random.one_of(kKernels));
    conv.stride[i] = random.chance(0.6) ? 1 : random.between(1, 3);
    conv.dilation[i] = random.chance(0.8) ? 1 : random.between(1, 3);
    conv.padding[i] = random.chance(0.6) ? conv.kernel[i] / 2 : random.between(0, 4);
    if (far) {
      conv.dilation[i] = random.between(2, three_dims ? 5 : 14);
      conv.padding[i] = conv.dilation[i] * (conv.kernel[i] / 2) + random.between(-1, 2);
      conv.padding[i] = std::max<int64_t>(conv.padding[i], 0);
      conv.stride[i] = unstrided ? 1 : conv.stride[i];
    }
    if (unpadded) {
      conv.padding[i] = 0;
      conv.stride[i] = 1;
    }
  }
  const int kind = static_cast<int>(random.between(0, 9));
  conv.transposed = random.chance(0.35);
  if (kind <= 5) {
    conv.in_channels = kind == 0 ? random.between(1, 4) : channels(random);
    conv.out_channels = channels(random);
    if (random.chance(unpadded ? 0.8 : 0.3)) {
      conv.in_channels = round_up(conv.in_channels, random.chance(0.5) ? 64 : 4);
    }
  } else if (kind <= 7) {
    conv.groups = conv.in_channels = conv.out_channels = random.between(2, 140);
  } else {
    // Groups of few channels share blocks of the kernels, or are packed together; of others folded
    // columns may be taken apart.
    const bool share = random.chance(0.5);
    constexpr int64_t kSharing[][2] = {{4, 4},  {8, 8},   {16, 16}, {4, 8},  {12, 8},
                                       {4, 16}, {12, 16}, {32, 32}, {20, 12}};
    const auto& group = random.one_of(kSharing);
    const bool small = random.chance(0.5);
    conv.groups = small ? random.between(2, 40) : random.between(2, 5);
    conv.in_channels = conv.groups * random.between(1, small ? 9 : 40);
    conv.out_channels = conv.groups * random.between(1, small ? 9 : 40);
    if (share) {
      conv.in_channels = conv.groups * group[0];
      conv.out_channels = conv.groups * group[1];
    }
  }
  if (conv.kernel[2] * conv.kernel[1] >= 25 && conv.groups == 1) {
    conv.in_channels = std::min<int64_t>(conv.in_channels, 20);
  }
  for (int i = three_dims ? 0 : 1; conv.transposed && i < 3; ++i) {
    // A stride of the kernel's size, as networks have it; smaller, larger, with and without a
    // common divisor with the dilation.
    conv.stride[i] = random.chance(0.4) ? conv.kernel[i] : random.between(1, 5);
    conv.padding[i] = random.chance(0.4) ? 0 : random.between(0, three_dims ? 2 : 4);
    conv.output_padding[i] =
        random.chance(0.6) ? 0 : random.between(0, std::max(conv.stride[i], conv.dilation[i]) - 1);
  }
  return conv;
}

Problem random_problem(Random& random, const Convolution& conv) {
  Problem problem{.conv = conv, .weight = {}, .scales = {}, .zero_points = {}, .bias = {}};
  const bool extreme = random.chance(0.2);  // nothing but the ends of the range
  for (int64_t i = 0; i < conv.weights(); ++i) {
    problem.weight.push_back(
        static_cast<int8_t>(
            extreme ? (random.chance(0.5) ? 127 : -128) : random.between(-128, 127)));
  }
  const double depth = static_cast<double>(conv.in_channels_per_group() * conv.taps());
  for (int64_t i = random.chance(0.5) ? 1 : conv.out_channels; i > 0; --i) {
    problem.scales.push_back(static_cast<double>(random.between(50, 200)) / 100 / std::sqrt(depth));
  }
  const bool asymmetric = random.chance(0.25);
  for (int64_t i = random.chance(0.5) ? 1 : conv.out_channels; i > 0; --i) {
    problem.zero_points.push_back(asymmetric ? static_cast<int32_t>(random.between(-128, 127)) : 0);
  }
  for (int64_t i = random.chance(0.7) ? conv.out_channels : 0; i > 0; --i) {
    problem.bias.push_back(static_cast<float>(random.between(-1000, 1000)) * 5);
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
      "%ld,%ld,%ld output padding %ld,%ld,%ld batch %ld size %ldx%ldx%ld of type %d zero points "
      "%d, %d",
      conv.transposed ? "transposed, " : "", conv.in_channels, conv.out_channels, conv.groups,
      conv.kernel[0], conv.kernel[1], conv.kernel[2], conv.stride[0], conv.stride[1],
      conv.stride[2], conv.padding[0], conv.padding[1], conv.padding[2], conv.dilation[0],
      conv.dilation[1], conv.dilation[2], conv.output_padding[0], conv.output_padding[1],
      conv.output_padding[2], input.batch, input.size[0], input.size[1], input.size[2],
      static_cast<int>(input.type), input.zero_point, problem.zero_points[0]);
  return text;
}

// What a convolution is asked for, addend and output without memory.
struct Request {
  Epilogue epilogue;
  bool adds = false;
  bool in_place = false;  // the output is the addend's memory
  RunOutput output;

  std::string text() const {
    char text[200];
    std::snprintf(
        text, sizeof(text), "function %d, output type %d, addend type %d%s",
        static_cast<int>(epilogue.function), static_cast<int>(output.type),
        adds ? static_cast<int>(epilogue.addend.type) : -1, in_place ? " in place" : "");
    return text;
  }
  double margin() const {
    constexpr double kFunctionError = 1e-9;  // relative, of floats
    const bool clamps = epilogue.function == PointwiseFunction::kNone ||
        epilogue.function == PointwiseFunction::kRelu ||
        epilogue.function == PointwiseFunction::kHardtanh;
    return !is_quantized(output.type) ? kFunctionError : clamps ? 1e-3 : 2e-3;
  }
};

constexpr ElementType kTypes[] = {
    ElementType::kUint8, ElementType::kInt8, ElementType::kFloat32, ElementType::kBfloat16};

// Scales that make the real numbers, of size `mean`, a good part of the type's range.
Request random_request(Random& random, double mean) {
  Request request;
  request.output.type = random.one_of(kTypes);
  if (is_quantized(request.output.type)) {
    request.output.scale = std::max(mean, 0.01) / 60;
    request.output.zero_point = static_cast<int32_t>(
        random.between(smallest_of(request.output.type), largest_of(request.output.type)));
  }
  Epilogue& epilogue = request.epilogue;
  epilogue.function = static_cast<PointwiseFunction>(random.between(0, 8));
  epilogue.lower = -mean * static_cast<double>(random.between(0, 100)) / 100;
  epilogue.upper = mean * static_cast<double>(random.between(0, 200)) / 100;
  epilogue.slope = static_cast<double>(random.between(-120, 120)) / 100;
  request.adds = random.chance(0.5);
  if (request.adds) {
    epilogue.addend.type = random.one_of(kTypes);
    if (is_quantized(epilogue.addend.type)) {
      epilogue.addend.scale = mean / static_cast<double>(random.between(10, 300));
      epilogue.addend.zero_point = static_cast<int32_t>(
          random.between(smallest_of(epilogue.addend.type), largest_of(epilogue.addend.type)));
    }
    request.in_place = random.chance(0.3) &&
        element_bytes(epilogue.addend.type) == element_bytes(request.output.type);
  }
  return request;
}

// Elements of a tensor: any bytes, or floats of size `mean`.
void fill(ElementType type, int64_t elements, double mean, void* data, Random& random) {
  for (int64_t i = 0; i < elements; ++i) {
    const auto value =
        static_cast<float>(mean * static_cast<double>(random.between(-999, 999)) / 500);
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    if (type == ElementType::kFloat32) {
      static_cast<float*>(data)[i] = value;
    } else if (type == ElementType::kBfloat16) {
      static_cast<uint16_t*>(data)[i] = static_cast<uint16_t>(bits >> 16);
    } else {
      static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(random.between(0, 255));
    }
  }
}

// Threads that take their parts last to first, however little work there is.
ParallelFor backwards(int threads) {
  return {
      .run =
          [](int64_t count, ParallelFor::Body body, void* context) {
            for (int64_t i = count - 1; i >= 0; --i) {
              body(context, i, i + 1);
            }
          },
      .threads = threads,
      .least_microseconds = 0};
}

// How many cases there were of what, and outputs that were compared: what the log says at its end.
std::map<std::string, int64_t>& counts() {
  static std::map<std::string, int64_t> counts;
  return counts;
}

// Runs a request on every instruction set. Returns whether all is right.
bool check_request(
    const Problem& problem, const PackedView& packed, const RunInput& input,
    const std::vector<double>& real, double mean, Request request, Random& random) {
  const auto elements = static_cast<int64_t>(real.size());
  const ElementType addend_type = request.epilogue.addend.type;
  const GuardedMemory addend(
      static_cast<size_t>(request.adds ? elements * element_bytes(addend_type) : 0));
  std::vector<double> expected = real;
  if (request.adds) {
    fill(addend_type, elements, mean, addend.data(), random);
    for (int64_t i = 0; i < elements; ++i) {
      const RunAddend& description = request.epilogue.addend;
      expected[i] +=
          real_of(addend.data(), addend_type, description.scale, description.zero_point, i);
    }
  }
  for (double& value : expected) {
    value = function_reference(request.epilogue, value);
  }
  const auto bytes = static_cast<size_t>(elements * element_bytes(request.output.type));
  std::vector<uint8_t> first;
  bool right = true;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (!entry.supported) {
      continue;
    }
    setenv("TORCH_QCONV_ISA", entry.name, 1);
    const GuardedMemory memory(bytes);
    request.output.data = memory.data();
    if (request.adds) {
      request.epilogue.addend.data = addend.data();
    }
    if (request.in_place) {
      std::memcpy(memory.data(), addend.data(), bytes);
      request.epilogue.addend.data = memory.data();
    }
    const int threads = static_cast<int>(random.between(1, 4));
    run(packed, input, request.epilogue, request.output,
        threads == 1 ? ParallelFor{} : backwards(threads));
    int64_t wrong = 0;
    for (int64_t i = 0; i < elements; ++i) {
      // Float64's rounding where a bias cancels the sum.
      wrong += !is_right(request.output, i, expected[i], request.margin(), mean * 1e-12);
    }
    counts()["outputs compared"] += elements;
    const std::vector<uint8_t> result(memory.data(), memory.data() + bytes);
    first = first.empty() ? result : first;
    if (wrong != 0 || result != first) {
      std::printf(
          "%s on %d threads: %ld of %ld outputs wrong, %s: %s: %s\n", entry.name, threads,
          static_cast<long>(wrong), static_cast<long>(elements),
          result == first ? "the first set's bytes" : "other bytes than the first set",
          request.text().c_str(), describe(problem, input).c_str());
      right = false;
    }
  }
  return right;
}

void count_case(
    const Problem& problem, const PackedView& packed, const RunInput& input, const Extent& size) {
  const Convolution& conv = problem.conv;
  const LayoutKind kind = packed.layout.kind;
  const auto count = [](const char* name, bool is) { counts()[name] += is ? 1 : 0; };
  count("depthwise kernels", kind == LayoutKind::kDepthwise);
  count("grouped kernels", kind == LayoutKind::kGrouped);
  count("dense kernels", kind == LayoutKind::kDense);
  count("transposed", conv.transposed);
  count("three dimensions", conv.spatial_dims == 3);
  count("int8 activations", input.type == ElementType::kInt8);
  count(
      "weights with zero points",
      std::any_of(problem.zero_points.begin(), problem.zero_points.end(), [](int32_t z) {
        return z != 0;
      }));
  count(
      "taps in the padding left out",
      !ReachedTaps(packed, input, size, *kernel_set(InstructionSet::kScalar)).all());
  setenv("TORCH_QCONV_ISA", "scalar", 1);
  const std::string description = describe_run(packed, input, {});
  count(
      "several taps on the activation as it lies",
      description.find("activation read in place,") != std::string::npos);
}

bool run_case(Random& random) {
  const Problem problem = random_problem(random, random_convolution(random));
  const Convolution& conv = problem.conv;
  RunInput input;
  input.batch = random.chance(0.8) ? 1 : random.between(2, 3);
  const bool single_pixel = random.chance(0.2);
  for (int i = conv.spatial_dims == 3 ? 0 : 1; i < 3; ++i) {
    const int64_t window = conv.dilation[i] * (conv.kernel[i] - 1) + 1;
    const int64_t least = std::max<int64_t>(1, window - 2 * conv.padding[i]);
    input.size[i] = least + random.between(0, conv.spatial_dims == 3 ? 5 : 17);
    if (conv.transposed) {
      input.size[i] = single_pixel ? 1 : random.between(1, conv.spatial_dims == 3 ? 5 : 12);
      while (output_size(conv, input.size)[i] < 1) {
        ++input.size[i];
      }
    }
  }
  input.scale = 0.02;
  input.type = random.chance(0.3) ? ElementType::kInt8 : ElementType::kUint8;
  const int32_t smallest = smallest_of(input.type);
  input.zero_point = static_cast<int32_t>(
      random.chance(0.3) ? smallest : random.between(smallest, largest_of(input.type)));
  // Rows that are cut, where sums take a pass of their own, or windows would be too large. Often
  // there is a single one, as in one dimension.
  if (random.chance(0.1) && conv.weights() < 20000) {
    input.size[2] += random.between(200, conv.weights() < 3000 ? 3000 : 800);
    if (!conv.transposed && random.chance(0.5)) {
      input.size[1] =
          std::max<int64_t>(1, conv.dilation[1] * (conv.kernel[1] - 1) + 1 - 2 * conv.padding[1]);
    }
  }
  const int64_t input_bytes =
      input.batch * input.size[0] * input.size[1] * input.size[2] * conv.in_channels;
  GuardedMemory activation(input_bytes);
  const bool extreme = random.chance(0.2);
  for (int64_t i = 0; i < input_bytes; ++i) {
    activation.as<uint8_t>()[i] =
        static_cast<uint8_t>(extreme ? (random.chance(0.5) ? 255 : 0) : random.between(0, 255));
  }
  input.data = activation.as<uint8_t>();

  const Extent size = output_size(conv, input.size);
  const std::vector<double> real = convolve_reference(problem, input, size);
  double mean = 0;
  for (double value : real) {
    mean += std::abs(value) / static_cast<double>(real.size());
  }
  const PackSource source = source_of(problem);
  PackedMemory buffer(packed_size(source));
  pack(source, buffer.data(), buffer.size());
  const PackedView packed = view_packed(buffer.data(), buffer.size(), true);
  count_case(problem, packed, input, size);
  const auto check = [&](const Request& request) {
    return check_request(problem, packed, input, real, mean, request, random);
  };
  Request plain;
  plain.output.scale = std::max(mean, 0.01) / 60;
  plain.output.zero_point = static_cast<int32_t>(random.between(0, 255));
  plain.epilogue.function =
      random.chance(0.5) ? PointwiseFunction::kRelu : PointwiseFunction::kNone;
  Request floats;
  floats.output.type = ElementType::kFloat32;
  bool right = check(plain);
  right = check(floats) && right;
  for (int i = 0; i < 3; ++i) {
    right = check(random_request(random, mean)) && right;
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
  for (const auto& [name, count] : qconv::native::test::counts()) {
    std::printf("  %s: %ld\n", name.c_str(), static_cast<long>(count));
  }
  std::printf("%ld of %ld cases wrong\n", wrong, cases);
  return wrong == 0 ? 0 : 1;
}
