// How fast weights are packed into memory that is used again, one thread, beside memcpy.
//
//   bench_pack [instruction set]
//
// Each figure is the median of rounds in which the contestants take turns.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "native/format/pack.h"
#include "native/format/packed_view.h"
#include "native/format/unpack.h"

namespace {

using namespace qconv::native;

struct Shape {
  int64_t in_channels, out_channels, kernel, groups;
};

constexpr Shape kShapes[] = {
    {3, 64, 7, 1},     {64, 64, 1, 1},    {16, 96, 1, 1},     {256, 1024, 1, 1},  {1024, 256, 1, 1},
    {512, 2048, 1, 1}, {2048, 512, 1, 1}, {960, 320, 1, 1},   {320, 1280, 1, 1},  {64, 64, 3, 1},
    {128, 128, 3, 1},  {256, 256, 3, 1},  {512, 512, 3, 1},   {96, 96, 3, 1},     {32, 64, 3, 1},
    {130, 130, 3, 1},  {256, 256, 3, 32}, {64, 192, 5, 1},    {128, 128, 5, 1},   {64, 96, 7, 1},
    {128, 128, 7, 1},  {32, 32, 3, 32},   {960, 960, 3, 960}, {512, 512, 5, 512},
};

double seconds_of(const std::function<void()>& body, int repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) {
    body();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
}

// Medians of several rounds of each body.
std::vector<double> medians(const std::vector<std::function<void()>>& bodies) {
  constexpr int kRounds = 15;
  std::vector<std::vector<double>> times(bodies.size());
  std::vector<int> repeats;
  for (const auto& body : bodies) {
    body();
    repeats.push_back(1 + static_cast<int>(5e-4 / (seconds_of(body, 3) + 1e-9)));
  }
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < bodies.size(); ++i) {
      times[i].push_back(seconds_of(bodies[i], repeats[i]));
    }
  }
  std::vector<double> result;
  for (auto& values : times) {
    std::sort(values.begin(), values.end());
    result.push_back(values[values.size() / 2]);
  }
  return result;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

void measure(const Shape& shape, InstructionSet set) {
  PackSource source;
  Convolution& conv = source.conv;
  conv.in_channels = shape.in_channels;
  conv.out_channels = shape.out_channels;
  conv.groups = shape.groups;
  conv.kernel = {1, shape.kernel, shape.kernel};
  std::vector<int8_t> weight(static_cast<size_t>(conv.weights()));
  for (size_t i = 0; i < weight.size(); ++i) {
    weight[i] = static_cast<int8_t>(i * 37 % 251);
  }
  const std::vector<double> scales(static_cast<size_t>(conv.out_channels), 0.5);
  const std::vector<float> bias(static_cast<size_t>(conv.out_channels), 1.0F);
  source.weight = weight.data();
  source.strides = contiguous_strides(conv);
  source.scales = scales.data();
  source.scales_per_channel = true;
  source.bias = bias.data();
  PackSource channels_last = source;
  const int64_t channels = conv.in_channels_per_group();
  channels_last.strides.in_channel = 1;
  channels_last.strides.kernel = {0, shape.kernel * channels, channels};
  const size_t size = packed_size(source);
  const std::unique_ptr<void, Free> packed(std::aligned_alloc(64, size));
  const std::unique_ptr<void, Free> again(std::aligned_alloc(64, size));
  const std::unique_ptr<void, Free> copy(std::aligned_alloc(64, size));
  pack(source, packed.get(), size, set);
  const PackedView view = view_packed(packed.get(), size, true);
  std::vector<int8_t> unpacked(weight.size());
  const std::vector<double> seconds = medians({
      [&] { std::memcpy(copy.get(), weight.data(), weight.size()); },
      [&] { pack(source, again.get(), size, set); },
      [&] { pack(channels_last, again.get(), size, set); },
      [&] { view_packed(packed.get(), size, false); },
      [&] { view_packed(packed.get(), size, true); },
      [&] { unpack_weight(view, unpacked.data()); },
  });
  const auto bytes = static_cast<double>(weight.size());
  std::printf(
      "%5ld %5ld %2ld %4ld %9.0f |", static_cast<long>(shape.in_channels),
      static_cast<long>(shape.out_channels), static_cast<long>(shape.kernel),
      static_cast<long>(shape.groups), bytes);
  for (double time : seconds) {
    std::printf(" %8.2f %6.1f |", time * 1e6, bytes / time / 1e9);
  }
  std::printf(" %.3f\n", static_cast<double>(size) / bytes);
}

}  // namespace

int main(int argc, char** argv) {
  InstructionSet set = best_instruction_set();
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (argc > 1 && entry.supported && std::strcmp(argv[1], entry.name) == 0) {
      set = entry.set;
    }
  }
  std::printf(
      "packing with %s, g++ %s; us and GB/s of weights\n", instruction_set_name(set), __VERSION__);
  std::printf(
      "   in   out  k groups   weights |       memcpy    |  pack OIHW      |  pack OHWI      |"
      " check header    | verify all      | unpack          | bytes/weight\n");
  for (const Shape& shape : kShapes) {
    measure(shape, set);
  }
  return 0;
}
