// Holds the depthwise kernels of every instruction set that this machine has to a naive version of
// their contract, byte for byte, on random shapes. All buffers end at a page that can't be touched.
//
//   depthwise_test [cases [seed]]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "avx_vnni_evex.h"
#include "guarded_memory.h"
#include "native/cpu/instruction_set.h"
#include "native/kernels/kernel_set.h"
#include "random.h"

namespace qconv::native::test {
namespace {

struct NamedKernel {
  std::string name;
  DepthwiseKernel kernel;
};

std::vector<NamedKernel> kernels() {
  std::vector<NamedKernel> all;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (entry.supported) {
      all.push_back({entry.name, kernel_set(entry.set)->depthwise});
    }
#if defined(__x86_64__)
    if (entry.supported && entry.set == InstructionSet::kAvx512Vnni) {
      all.push_back({"avx_vnni in AVX512's encoding", depthwise_avx_vnni_evex});
    }
#endif
  }
  return all;
}

struct Case {
  int64_t channels = 1;       // of the call
  int64_t first_channel = 0;  // of all_channels
  int64_t all_channels = 1;
  int64_t kernel_rows = 3, kernel_columns = 3;
  int64_t row_step = 1, stride = 1, padding = 1, dilation = 1;
  int64_t input_columns = 1, output_rows = 1, output_columns = 1;
  Store store = Store::kBytes;
  bool zero_points = false, at_end = true, extreme = false;
  Requantization requantization;

  std::string text() const {
    const auto number = [](const char* name, int64_t value) {
      return std::string(" ") + name + "=" + std::to_string(value);
    };
    return number("channels", channels) + number("first", first_channel) +
        number("of", all_channels) + number("kernel_rows", kernel_rows) +
        number("kernel_columns", kernel_columns) + number("row_step", row_step) +
        number("stride", stride) + number("padding", padding) + number("dilation", dilation) +
        number("input_columns", input_columns) + number("output_rows", output_rows) +
        number("output_columns", output_columns) + number("zero_points", zero_points) +
        number("store", static_cast<int64_t>(store)) + number("at_end", at_end) +
        number("extreme", extreme);
  }
};

Case random_case(Random& random) {
  Case c;
  // Around the edges of vectors and their parts, or any.
  static constexpr int64_t kEdges[] = {16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 192};
  c.channels = random.chance(0.5) ? kEdges[random.between(0, 10)] + random.between(-1, 1)
                                  : random.between(1, 200);
  c.all_channels = c.channels;
  if (random.chance(0.2)) {  // a range of channels that starts at a multiple of 64
    c.first_channel = 64 * random.between(0, 2);
    c.all_channels =
        c.first_channel + c.channels + (random.chance(0.5) ? random.between(0, 70) : 0);
  }
  c.kernel_rows = random.between(1, 7);
  c.kernel_columns = random.chance(0.7) ? c.kernel_rows : random.between(1, 9);
  c.row_step = random.chance(0.2) ? c.kernel_rows + random.between(0, 1) : random.between(1, 3);
  c.stride = random.between(1, 3);
  c.dilation = random.chance(0.75) ? 1 : random.between(2, 3);
  const int64_t window = (c.kernel_columns - 1) * c.dilation + 1;
  c.padding = random.chance(0.6) ? window / 2
      : random.chance(0.7)       ? random.between(0, window)
                                 : -random.between(1, 20);
  c.output_rows = random.between(1, random.chance(0.8) ? 5 : 12);
  c.output_columns = random.between(1, random.chance(0.8) ? 12 : 70);
  // At least one column of input, and any number of columns beyond the last window or missing.
  const int64_t last = (c.output_columns - 1) * c.stride + window - c.padding;
  c.input_columns = std::max<int64_t>(1, last - random.between(0, 3) + random.between(0, 2));
  c.zero_points = random.chance(0.15);
  c.store = random.chance(0.3) ? Store::kSums : Store::kBytes;
  c.at_end = random.chance(0.7);
  c.extreme = random.chance(0.15);
  return c;
}

// What a case runs on.
struct Data {
  std::vector<std::unique_ptr<GuardedMemory>> input_rows;
  std::vector<const uint8_t*> rows;
  std::unique_ptr<GuardedMemory> zero_point_pixel, weight, multiplier, offset, zero_points;
  DepthwiseArguments arguments;
};

std::unique_ptr<Data> make_data(Case& c, Random& random) {
  auto data = std::make_unique<Data>();
  const auto memory = [&](int64_t bytes) {
    return std::make_unique<GuardedMemory>(static_cast<size_t>(bytes), c.at_end);
  };
  // Input: rows of their own, of which the last pixel has only the channels of the call.
  const int64_t row_bytes = (c.input_columns - 1) * c.all_channels + c.channels;
  const int64_t row_count = (c.output_rows - 1) * c.row_step + c.kernel_rows;
  for (int64_t i = 0; i < row_count; ++i) {
    const bool outside = (i == 0 || i == row_count - 1) ? random.chance(0.4) : random.chance(0.05);
    if (outside) {
      data->rows.push_back(nullptr);
      continue;
    }
    data->input_rows.push_back(memory(row_bytes));
    auto* const row = data->input_rows.back()->data();
    for (int64_t j = 0; j < row_bytes; ++j) {
      row[j] = static_cast<uint8_t>(c.extreme ? 255 : random.between(0, 255));
    }
    data->rows.push_back(row);
  }
  data->zero_point_pixel = memory(c.channels);
  std::memset(
      data->zero_point_pixel->data(), static_cast<int>(random.between(0, 255)),
      static_cast<size_t>(c.channels));

  const int64_t tap_stride = (c.all_channels + 15) / 16 * 16;
  const int64_t weights = c.kernel_rows * c.kernel_columns * tap_stride;
  data->weight = memory(weights + 64);
  for (int64_t i = 0; i < weights + 64; ++i) {
    data->weight->as<int8_t>()[i] =
        static_cast<int8_t>(c.extreme ? -128 : random.between(-128, 127));
  }
  const int64_t readable = tap_stride + 16;
  data->multiplier = memory(readable * 4);
  data->offset = memory(readable * 4);
  data->zero_points = memory(readable * 4);
  for (int64_t i = 0; i < readable; ++i) {
    data->multiplier->as<float>()[i] = random.real(1e-5F, random.chance(0.1) ? 0.5F : 5e-3F);
    data->offset->as<float>()[i] = random.real(-200, 200);
    data->zero_points->as<int32_t>()[i] = static_cast<int32_t>(random.between(-128, 127));
  }
  const int64_t smallest = random.chance(0.5) ? -128 : 0;  // of int8 or of uint8
  const int64_t largest = smallest + 255;
  const bool clamps = random.chance(0.5);
  c.requantization.zero_point = static_cast<int32_t>(random.between(smallest, largest));
  c.requantization.low =
      static_cast<int32_t>(clamps ? random.between(smallest, largest) : smallest);
  c.requantization.high =
      static_cast<int32_t>(clamps ? random.between(c.requantization.low, largest) : largest);
  c.requantization.multiplier = data->multiplier->as<float>() + c.first_channel;
  c.requantization.offset = data->offset->as<float>() + c.first_channel;

  DepthwiseArguments& a = data->arguments;
  a.rows = data->rows.data();
  a.output_rows = c.output_rows;
  a.row_step = c.row_step;
  a.kernel_rows = c.kernel_rows;
  a.kernel_columns = c.kernel_columns;
  a.stride = c.stride;
  a.padding = c.padding;
  a.dilation = c.dilation;
  a.input_columns = c.input_columns;
  a.output_columns = c.output_columns;
  a.input_pixel_stride = c.all_channels;
  a.zero_point_pixel = data->zero_point_pixel->data();
  a.input_flip = random.chance(0.3) ? 0x80 : 0;
  a.channels = c.channels;
  a.weight = data->weight->as<int8_t>() + c.first_channel;
  a.tap_stride = tap_stride;
  a.weight_zero_points =
      c.zero_points ? data->zero_points->as<int32_t>() + c.first_channel : nullptr;
  a.requantization = c.requantization;
  // Outputs of a transposed convolution's phases leave room for those of the others.
  a.output_pixel_stride = c.all_channels * (random.chance(0.7) ? 1 : random.between(2, 3));
  a.output_row_stride = c.output_columns * a.output_pixel_stride + random.between(0, 5);
  a.store = c.store;
  return data;
}

void naive(const DepthwiseArguments& a) {
  for (int64_t r = 0; r < a.output_rows; ++r) {
    for (int64_t x = 0; x < a.output_columns; ++x) {
      for (int64_t c = 0; c < a.channels; ++c) {
        int64_t sum = 0;
        for (int64_t t = 0; t < a.kernel_rows; ++t) {
          for (int64_t w = 0; w < a.kernel_columns; ++w) {
            const uint8_t* const row = a.rows[r * a.row_step + t];
            const int64_t column = x * a.stride - a.padding + w * a.dilation;
            const uint8_t byte = row == nullptr || column < 0 || column >= a.input_columns
                ? a.zero_point_pixel[c]
                : row[column * a.input_pixel_stride + c];
            const int64_t value = a.input_flip == 0 ? byte : static_cast<int8_t>(byte) + 128;
            const int64_t zero_point =
                a.weight_zero_points == nullptr ? 0 : a.weight_zero_points[c];
            sum += value * (a.weight[(t * a.kernel_columns + w) * a.tap_stride + c] - zero_point);
          }
        }
        const int64_t place = r * a.output_row_stride + x * a.output_pixel_stride + c;
        if (a.store == Store::kSums) {
          static_cast<int32_t*>(a.output)[place] = static_cast<int32_t>(sum);
          continue;
        }
        const Requantization& q = a.requantization;
        const double value =
            std::nearbyint(std::fma(static_cast<float>(sum), q.multiplier[c], q.offset[c]));
        static_cast<uint8_t*>(a.output)[place] =
            static_cast<uint8_t>(std::clamp<double>(value + q.zero_point, q.low, q.high));
      }
    }
  }
}

int64_t output_bytes(const DepthwiseArguments& a) {
  const int64_t elements = (a.output_rows - 1) * a.output_row_stride +
      (a.output_columns - 1) * a.output_pixel_stride + a.channels;
  return elements * element_bytes(a.store);
}

int run(int64_t cases, uint64_t seed) {
  const std::vector<NamedKernel> all = kernels();
  std::printf("seed %llu, kernels:", static_cast<unsigned long long>(seed));
  for (const NamedKernel& kernel : all) {
    std::printf(" %s;", kernel.name.c_str());
  }
  std::printf("\n");
  Random random(seed);
  for (int64_t i = 0; i < cases; ++i) {
    Case c = random_case(random);
    const auto data = make_data(c, random);
    DepthwiseArguments& a = data->arguments;
    const int64_t bytes = output_bytes(a);
    constexpr int kUntouched = 0xa5;  // between the pixels too, whole outputs are compared
    std::vector<uint8_t> expected(static_cast<size_t>(bytes), kUntouched);
    a.output = expected.data();
    naive(a);
    for (const NamedKernel& kernel : all) {
      const GuardedMemory output(static_cast<size_t>(bytes), c.at_end);
      std::memset(output.data(), kUntouched, static_cast<size_t>(bytes));
      a.output = output.data();
      kernel.kernel(a);
      const auto wrong = std::mismatch(expected.begin(), expected.end(), output.data());
      if (wrong.first != expected.end()) {
        std::printf(
            "case %lld, %s: byte %lld of %lld is %d, expected %d;%s\n", static_cast<long long>(i),
            kernel.name.c_str(), static_cast<long long>(wrong.first - expected.begin()),
            static_cast<long long>(bytes), *wrong.second, *wrong.first, c.text().c_str());
        return 1;
      }
    }
  }
  std::printf("%lld cases passed\n", static_cast<long long>(cases));
  return 0;
}

}  // namespace
}  // namespace qconv::native::test

int main(int argc, char** argv) {
  const int64_t cases = argc > 1 ? std::atoll(argv[1]) : 2000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  return qconv::native::test::run(cases, seed);
}
