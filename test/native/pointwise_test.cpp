// The pass over sums (kernels/pointwise.h) on every instruction set that this machine has: the same
// bytes on all, and right against float64 and the C library's functions, for every function, type
// of addend and type of output. All buffers end at a page that can't be touched.
//
//   pointwise_test [cases [seed]]
#include "native/kernels/pointwise.h"

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "guarded_memory.h"
#include "native/cpu/instruction_set.h"
#include "native/kernels/kernel_set.h"
#include "pointwise_reference.h"
#include "random.h"

namespace qconv::native::test {
namespace {

constexpr PointwiseFunction kFunctions[] = {
    PointwiseFunction::kNone,      PointwiseFunction::kRelu,      PointwiseFunction::kHardtanh,
    PointwiseFunction::kLeakyRelu, PointwiseFunction::kHardswish, PointwiseFunction::kSwish,
    PointwiseFunction::kSigmoid,   PointwiseFunction::kGelu,      PointwiseFunction::kGeluTanh,
};
constexpr ElementType kTypes[] = {
    ElementType::kUint8, ElementType::kInt8, ElementType::kFloat32, ElementType::kBfloat16};

// What float32 steps may be off before rounding, in quanta: 1e-3 of the real number, times the
// functions' steepest slope, 1.5, and some units in the last place of up to 512 quanta.
constexpr double kFloatMargin = 2e-3;
constexpr double kDoubleMargin = 1e-6;
// What polynomials leave out, relative.
constexpr double kFunctionError = 1e-9;

struct Set {
  std::string name;
  PointwiseKernel pointwise;
};

std::vector<Set> sets() {
  std::vector<Set> found;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (entry.supported) {
      found.push_back({entry.name, kernel_set(entry.set)->pointwise});
    }
  }
  return found;
}

long cases = 3000;
uint64_t seed = 1;

// A tensor's memory, with random elements.
void fill(ElementType type, int64_t elements, double size, void* data, Random& random) {
  for (int64_t i = 0; i < elements; ++i) {
    if (is_quantized(type)) {
      static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(random.between(0, 255));
      continue;
    }
    const auto value = static_cast<float>(random.real(-size, size));
    if (type == ElementType::kFloat32) {
      static_cast<float*>(data)[i] = value;
    } else {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      static_cast<uint16_t*>(data)[i] = static_cast<uint16_t>(bits >> 16);
    }
  }
}

void check_case(const std::vector<Set>& all, Random& random) {
  PointwiseArguments arguments;
  Epilogue& epilogue = arguments.epilogue;
  RunOutput& output = arguments.output;
  epilogue.function = kFunctions[random.between(0, 8)];
  epilogue.lower = random.real(-2, 0);
  epilogue.upper = random.real(0, 6);
  epilogue.slope = random.real(-1, 1);
  output.type = kTypes[random.between(0, 3)];
  const bool adds = random.chance(0.6);
  epilogue.addend.type = kTypes[random.between(0, 3)];

  const int64_t pixel_channels = random.between(1, 200);
  const int64_t repeats = random.between(1, 3);
  arguments.channels = pixel_channels * repeats;
  arguments.row_elements =
      random.chance(0.5) ? pixel_channels * random.between(1, 4) : random.between(1, 700);
  arguments.count = random.chance(0.2) ? random.between(500, 530) : random.between(1, 3000);
  arguments.addend_row_stride =
      arguments.row_elements + (random.chance(0.5) ? 0 : random.between(1, 50));
  arguments.output_row_stride =
      arguments.row_elements + (random.chance(0.5) ? 0 : random.between(1, 50));

  // Real numbers of some size, of which the output's range is a part or more than all.
  const double size = std::exp(random.real(-3, 3));
  const bool in_float32 = is_quantized(output.type) &&
      (!adds || is_quantized(epilogue.addend.type)) && random.chance(0.7);
  if (is_quantized(output.type)) {
    output.scale = in_float32 ? std::max(size * std::exp(random.real(-6, 0)), 0x1p-14)
                              : size * std::exp(random.real(-20, 0));
    output.zero_point =
        static_cast<int32_t>(random.between(smallest_of(output.type), largest_of(output.type)));
  }
  if (is_quantized(epilogue.addend.type)) {
    epilogue.addend.scale = std::min(size / 100, output.scale * 4);
    epilogue.addend.zero_point = static_cast<int32_t>(
        random.between(smallest_of(epilogue.addend.type), largest_of(epilogue.addend.type)));
  }

  const auto memory = [](int64_t bytes) { return GuardedMemory(static_cast<size_t>(bytes)); };
  const int64_t count = arguments.count;
  const GuardedMemory sums = memory(count * 4);
  const GuardedMemory reals = memory(count * 4);
  const GuardedMemory multiplier = memory(arguments.channels * 4);
  const GuardedMemory offset = memory(arguments.channels * 4);
  const GuardedMemory zero_point_sum = memory(arguments.channels * 8);
  const GuardedMemory scale = memory(arguments.channels * 8);
  const GuardedMemory bias = memory(arguments.channels * 8);
  for (int64_t c = 0; c < arguments.channels; ++c) {
    const int64_t channel = c % pixel_channels;
    if (channel != c) {  // the same again
      multiplier.as<float>()[c] = multiplier.as<float>()[channel];
      offset.as<float>()[c] = offset.as<float>()[channel];
      zero_point_sum.as<double>()[c] = zero_point_sum.as<double>()[channel];
      scale.as<double>()[c] = scale.as<double>()[channel];
      bias.as<double>()[c] = bias.as<double>()[channel];
      continue;
    }
    const double largest = in_float32 ? 1000 * output.scale : 1e300;
    const double factor = std::min(size / 1e5 * random.real(0.5, 2), largest / 2000);
    zero_point_sum.as<double>()[c] = static_cast<double>(random.between(-100000, 100000));
    scale.as<double>()[c] = factor;
    bias.as<double>()[c] = std::clamp(random.real(-size, size), -largest, largest);
    const double shift = zero_point_sum.as<double>()[c] * factor + bias.as<double>()[c];
    multiplier.as<float>()[c] = static_cast<float>(factor);
    offset.as<float>()[c] = static_cast<float>(shift);
  }
  for (int64_t i = 0; i < count; ++i) {
    sums.as<int32_t>()[i] = static_cast<int32_t>(random.between(-200000, 200000));
    reals.as<float>()[i] = static_cast<float>(random.real(-size * 3, size * 3));
  }
  const bool from_reals = !in_float32 && random.chance(0.4);
  if (from_reals) {
    arguments.reals = reals.as<float>();
  } else {
    arguments.sums = sums.as<int32_t>();
    arguments.zero_point_sum = zero_point_sum.as<double>();
    arguments.scale = scale.as<double>();
    arguments.bias = bias.as<double>();
  }
  if (in_float32) {
    arguments.multiplier = multiplier.as<float>();
    arguments.offset = offset.as<float>();
  }
  const auto place = [&](int64_t i, int64_t stride) {
    return i / arguments.row_elements * stride + i % arguments.row_elements;
  };
  const int64_t addend_elements = place(count - 1, arguments.addend_row_stride) + 1;
  const int64_t output_elements = place(count - 1, arguments.output_row_stride) + 1;
  const GuardedMemory addend = memory(addend_elements * element_bytes(epilogue.addend.type));
  fill(epilogue.addend.type, addend_elements, size, addend.data(), random);
  if (adds) {
    epilogue.addend.data = addend.data();
  }

  const int64_t output_bytes = output_elements * element_bytes(output.type);
  const std::string context = "function " + std::to_string(static_cast<int>(epilogue.function)) +
      ", output type " + std::to_string(static_cast<int>(output.type)) + ", addend type " +
      std::to_string(adds ? static_cast<int>(epilogue.addend.type) : -1) + ", count " +
      std::to_string(count) + (in_float32 ? ", float32" : ", float64");
  std::vector<uint8_t> first;
  for (const Set& set : all) {
    const GuardedMemory memory_of_output(static_cast<size_t>(output_bytes));
    std::memset(memory_of_output.data(), 0xa5, static_cast<size_t>(output_bytes));
    output.data = memory_of_output.data();
    set.pointwise(arguments);
    const std::vector<uint8_t> bytes(
        output.data ? memory_of_output.data() : nullptr, memory_of_output.data() + output_bytes);
    if (!first.empty()) {
      CHECK_EQUAL(bytes == first, true, set.name + " gives other bytes: " + context);
      continue;
    }
    first = bytes;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t c = i % arguments.channels;
      double real = from_reals
          ? reals.as<float>()[i]
          : (sums.as<int32_t>()[i] + zero_point_sum.as<double>()[c]) * scale.as<double>()[c] +
              bias.as<double>()[c];
      if (adds) {
        real += real_of(
            addend.data(), epilogue.addend.type, epilogue.addend.scale, epilogue.addend.zero_point,
            place(i, arguments.addend_row_stride));
      }
      const double result = function_reference(epilogue, real);
      const double margin = !is_quantized(output.type) ? kFunctionError
          : in_float32                                 ? kFloatMargin
                                                       : kDoubleMargin;
      const int64_t at = place(i, arguments.output_row_stride);
      if (!is_right(output, at, result, margin, size * 1e-12)) {
        CHECK_EQUAL(
            real_of(output.data, output.type, 1, 0, at), result / output.scale + output.zero_point,
            set.name + ", element " + std::to_string(i) + ": " + context);
        break;
      }
    }
  }
}

const Test kRandomCases("random cases", [] {
  const std::vector<Set> all = sets();
  Random random(seed);
  for (long i = 0; i < cases && failures() < 20; ++i) {
    check_case(all, random);
  }
});

// Every function over all of float32's magnitudes, in float64: the largest relative error.
const Test kFunctionErrors("functions in float64", [] {
  std::vector<float> xs;
  for (double x = 1e-6; x < 700; x *= 1.0003) {
    xs.push_back(static_cast<float>(x));
    xs.push_back(static_cast<float>(-x));
  }
  for (double x = -40; x < 40; x += 0.0007) {
    xs.push_back(static_cast<float>(x));
  }
  for (const PointwiseFunction function : kFunctions) {
    PointwiseArguments arguments;
    arguments.epilogue.function = function;
    arguments.epilogue.lower = -1.25;
    arguments.epilogue.upper = 6;
    arguments.epilogue.slope = 0.01;
    arguments.count = arguments.row_elements = static_cast<int64_t>(xs.size());
    arguments.reals = xs.data();
    std::vector<float> ys(xs.size());
    arguments.output = {ys.data(), ElementType::kFloat32, 1, 0};
    for (const Set& set : sets()) {
      set.pointwise(arguments);
      for (size_t i = 0; i < xs.size(); ++i) {
        const double expected = function_reference(arguments.epilogue, xs[i]);
        // Denormal results have fewer digits.
        if (!is_right(arguments.output, static_cast<int64_t>(i), expected, kFunctionError, 1e-44)) {
          CHECK_EQUAL(
              ys[i], expected,
              set.name + " at " + std::to_string(xs[i]) + ", function " +
                  std::to_string(static_cast<int>(function)));
          break;
        }
      }
    }
  }
});

// Infinities have the functions' limits, NaNs stay NaN, and become the smallest integer.
const Test kSpecialValues("infinities and NaNs", [] {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float xs[] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()};
  for (const PointwiseFunction function : kFunctions) {
    const bool bounded = function == PointwiseFunction::kHardtanh;
    const double high = bounded ? 6 : function == PointwiseFunction::kSigmoid ? 1 : kInfinity;
    const double low = bounded ? -1.25
        : function == PointwiseFunction::kNone || function == PointwiseFunction::kLeakyRelu
        ? -kInfinity
        : 0;
    for (const Set& set : sets()) {
      PointwiseArguments arguments;
      arguments.epilogue.function = function;
      arguments.epilogue.lower = -1.25;
      arguments.epilogue.upper = 6;
      arguments.epilogue.slope = 0.01;
      arguments.count = arguments.row_elements = 3;
      arguments.reals = xs;
      float ys[3];
      arguments.output = {ys, ElementType::kFloat32, 1, 0};
      set.pointwise(arguments);
      CHECK_EQUAL(ys[0], static_cast<float>(high), set.name);
      CHECK_EQUAL(ys[1], static_cast<float>(low), set.name);
      CHECK_EQUAL(ys[2] != ys[2], true, set.name);
      uint16_t halves[3];
      arguments.output = {halves, ElementType::kBfloat16, 1, 0};
      set.pointwise(arguments);
      CHECK_EQUAL(halves[2], 0x7fc0, set.name);
      int8_t integers[3];
      arguments.output = {integers, ElementType::kInt8, 1, 3};
      set.pointwise(arguments);
      CHECK_EQUAL(integers[0], std::min(high + 3, 127.0), set.name);
      CHECK_EQUAL(integers[1], std::max(std::nearbyint(low) + 3, -128.0), set.name);
      CHECK_EQUAL(integers[2], -128, set.name);
    }
  }
});

}  // namespace
}  // namespace qconv::native::test

int main(int argc, char** argv) {
  using namespace qconv::native::test;
  cases = argc > 1 ? std::atol(argv[1]) : cases;
  seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : seed;
  return run_tests();
}
