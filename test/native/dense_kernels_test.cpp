// Every dense kernel that this machine can run, against the formula of kernels/dense.h written down
// naively: equal bytes over random runs, sizes around the edges of all blocks, extreme numbers,
// with no access outside its buffers. Usage: dense_kernels_test [runs] [seed]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <initializer_list>
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

enum class Values { kRandom, kLargest, kSaturating };

// One run, before it has memory.
struct Run {
  int64_t pixels, pixel_stride;
  std::vector<int64_t> tap_offsets;
  std::vector<int64_t> tap_places;  // among the packed taps; empty: all of them
  int64_t packed_taps;
  int64_t k_blocks, quads, used_quads;
  int64_t out_channels, last_columns, block_gap;
  bool zero_points, first_sums, comes_from_afar;
  int64_t first_offset;  // that tap_offsets are passed counted from
  Store store;
  int64_t row_pitch, row_width, output_pixel_stride, row_stride;
  Values values;

  int64_t blocks() const { return (out_channels + kBlockColumns - 1) / kBlockColumns; }
  int64_t columns(int64_t block) const {
    return block + 1 == blocks() ? last_columns : kBlockColumns;
  }
  int64_t taps() const { return static_cast<int64_t>(tap_offsets.size()); }
  int64_t place(int64_t tap) const {
    return tap_places.empty() ? tap : tap_places[static_cast<size_t>(tap)];
  }
  int64_t block_bytes(int64_t columns) const {
    return packed_taps * k_blocks * quads * kQuad * columns;
  }
  int64_t block_stride() const { return block_bytes(kBlockColumns) + block_gap; }
  std::string text() const;
};

std::string Run::text() const {
  char line[512];
  std::snprintf(
      line, sizeof(line),
      "pixels %ld (stride %ld), taps %ld of %ld, k_blocks %ld, quads %ld, used_quads %ld, "
      "out_channels "
      "%ld, "
      "last_columns %ld, zero_points %d, first sums %d, store %d, row_pitch %ld, row_width %ld, "
      "values %d",
      static_cast<long>(pixels), static_cast<long>(pixel_stride), static_cast<long>(taps()),
      static_cast<long>(packed_taps), static_cast<long>(k_blocks), static_cast<long>(quads),
      static_cast<long>(used_quads), static_cast<long>(out_channels),
      static_cast<long>(last_columns), zero_points, first_sums, static_cast<int>(store),
      static_cast<long>(row_pitch), static_cast<long>(row_width), static_cast<int>(values));
  return line;
}

Run random_run(Random& random) {
  Run run;
  run.pixels = random.chance(0.1) ? random.one_of({63, 64, 65, 191, 192, 193, 197, 383, 384, 385})
                                  : random.between(1, 40);
  run.quads = random.chance(0.5) ? random.between(1, 16) : 16;
  run.k_blocks =
      random.chance(0.1) ? random.one_of({8, 9, 10, 16, 17, 18, 19, 32}) : random.between(1, 4);
  const int64_t quads = run.k_blocks * run.quads;
  run.used_quads =
      random.chance(0.5) ? quads : random.between(std::max<int64_t>(quads - 16, 1), quads);
  run.tap_offsets.resize(
      static_cast<size_t>(
          random.chance(0.3)        ? 1
              : run.used_quads > 64 ? random.between(1, 3)
                                    : random.between(1, 10)));
  run.packed_taps = run.taps();
  if (random.chance(0.3)) {
    run.packed_taps = 0;
    for (int64_t tap = 0; tap < run.taps(); ++tap) {
      run.packed_taps += random.between(0, 3);
      run.tap_places.push_back(run.packed_taps++);
    }
    run.packed_taps += random.between(0, 2);
  }
  run.pixel_stride =
      random.chance(0.5) ? kQuad * run.used_quads : random.between(1, 3 * kQuad * quads);
  for (int64_t& offset : run.tap_offsets) {
    offset = random.between(0, 4 * run.pixel_stride);
  }
  run.out_channels = random.chance(0.3)
      ? random.one_of({15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65})
      : random.between(1, 40);
  const int64_t last = (run.out_channels - 1) % kBlockColumns + 1;
  run.last_columns = random.chance(0.2) ? kBlockColumns : (last + kQuad - 1) / kQuad * kQuad;
  run.block_gap = random.chance(0.2) ? 64 * random.between(1, 3) : 0;
  run.zero_points = random.chance(0.2);
  run.first_sums = random.chance(0.3);
  run.comes_from_afar = random.chance(0.3);
  run.first_offset = random.chance(0.5) ? 0 : run.tap_offsets[0];
  run.store = random.chance(0.2) ? Store::kSums
      : random.chance(0.3)       ? Store::kBytesAdded
                                 : Store::kBytes;
  run.row_pitch = random.chance(0.6) ? run.pixels : random.between(1, run.pixels + 3);
  run.row_width = random.chance(0.6) ? run.row_pitch : random.between(1, run.row_pitch);
  run.output_pixel_stride = run.out_channels + (random.chance(0.5) ? 0 : random.between(1, 20));
  run.row_stride =
      run.row_width * run.output_pixel_stride + (random.chance(0.5) ? 0 : random.between(1, 50));
  const int64_t values = random.between(0, 9);
  run.values = values == 0 ? Values::kLargest : values == 1 ? Values::kSaturating : Values::kRandom;
  return run;
}

// The memory of a run, and what its output must become.
class RunMemory {
 public:
  RunMemory(const Run& run, const TestedKernel& kernel, Random& random);

  // Empty, or what was wrong. in_place: the output's memory holds the addend.
  std::string check(const TestedKernel& kernel, bool in_place);

 private:
  int32_t sum(int64_t pixel, int64_t channel) const;
  void fill(uint8_t largest_activation, Random& random);
  void expect();

  Run run_;
  int64_t read_elements_;  // of each tap of each pixel
  int64_t activations_;
  int64_t weights_;
  int64_t outputs_;
  GuardedMemory activation_, wide_activation_, weight_, multiplier_, offset_, zero_points_;
  GuardedMemory first_sums_, activation_sums_, addend_, output_;
  Requantization requantization_;
  std::vector<uint8_t> expected_bytes_;
  std::vector<int32_t> expected_sums_;
  std::vector<bool> stored_;
};

int64_t padded_channels(const Run& run) {
  return run.blocks() * kBlockColumns + 16;
}

int64_t output_elements(const Run& run) {
  int64_t end = 0;
  for (int64_t p = 0; p < run.pixels; ++p) {
    if (p % run.row_pitch < run.row_width) {
      end = std::max(
          end,
          p / run.row_pitch * run.row_stride + p % run.row_pitch * run.output_pixel_stride +
              run.out_channels);
    }
  }
  return end;
}

RunMemory::RunMemory(const Run& run, const TestedKernel& kernel, Random& random)
    : run_(run),
      read_elements_(kQuad * (kernel.reads_padding ? run.k_blocks * run.quads : run.used_quads)),
      activations_(
          (run.pixels - 1) * run.pixel_stride +
          *std::max_element(run.tap_offsets.begin(), run.tap_offsets.end()) + read_elements_),
      weights_((run.blocks() - 1) * run.block_stride() + run.block_bytes(run.last_columns)),
      outputs_(output_elements(run)),
      activation_(static_cast<size_t>(activations_)),
      wide_activation_(static_cast<size_t>(activations_) * sizeof(uint16_t)),
      weight_(static_cast<size_t>(weights_) + 64),
      multiplier_(static_cast<size_t>(padded_channels(run)) * sizeof(float)),
      offset_(static_cast<size_t>(padded_channels(run)) * sizeof(float)),
      zero_points_(static_cast<size_t>(padded_channels(run)) * sizeof(int32_t)),
      first_sums_(static_cast<size_t>(padded_channels(run)) * sizeof(int32_t)),
      activation_sums_(static_cast<size_t>(run.pixels) * sizeof(int32_t)),
      addend_(static_cast<size_t>(outputs_)),
      output_(static_cast<size_t>(outputs_ * element_bytes(run.store))) {
  fill(kernel.largest_activation, random);
  expect();
}

void RunMemory::fill(uint8_t largest_activation, Random& random) {
  auto* const activation = activation_.as<uint8_t>();
  const bool random_values = run_.values == Values::kRandom;
  for (int64_t i = 0; i < activations_; ++i) {
    activation[i] = static_cast<uint8_t>(
        random_values ? random.between(0, largest_activation) : largest_activation);
  }
  const auto any_weight = [&] {
    return static_cast<int8_t>(
        random_values                            ? random.between(-128, 127)
            : run_.values == Values::kSaturating ? 127
                                                 : -128);
  };
  auto* const weight = weight_.as<int8_t>();
  for (int64_t i = 0; i < weights_ + 64; ++i) {
    weight[i] = any_weight();
  }
  // What pads a tap is 0.
  for (int64_t block = 0; block < run_.blocks(); ++block) {
    const int64_t row = kQuad * run_.columns(block);
    const int64_t quads = run_.k_blocks * run_.quads;
    for (int64_t tap = 0; tap < run_.packed_taps; ++tap) {
      int8_t* const rows = weight + block * run_.block_stride() + tap * quads * row;
      std::memset(
          rows + run_.used_quads * row, 0, static_cast<size_t>((quads - run_.used_quads) * row));
    }
  }
  const double k = static_cast<double>(run_.taps() * run_.used_quads * kQuad);
  const auto spread = static_cast<float>(80 / (std::sqrt(k) * 255 * 128 / 3));
  for (int64_t c = 0; c < padded_channels(run_); ++c) {
    multiplier_.as<float>()[c] = spread * random.real(0.2F, 4.0F);
    offset_.as<float>()[c] = random.real(-100, 100);
    zero_points_.as<int32_t>()[c] = static_cast<int32_t>(random.between(-128, 127));
    first_sums_.as<int32_t>()[c] = static_cast<int32_t>(random.between(-100000, 100000));
  }
  const bool large_zero_points = random.chance(0.3);
  for (int64_t c = 0; large_zero_points && c < padded_channels(run_); ++c) {
    zero_points_.as<int32_t>()[c] = static_cast<int32_t>(random.between(-2000000, 2000000));
  }
  for (int64_t p = 0; p < run_.pixels; ++p) {
    int32_t total = 0;
    for (const int64_t offset : run_.tap_offsets) {
      for (int64_t i = 0; i < run_.used_quads * kQuad; ++i) {
        total += activation[p * run_.pixel_stride + offset + i];
      }
    }
    activation_sums_.as<int32_t>()[p] =
        large_zero_points ? static_cast<int32_t>(random.between(0, 200)) : total;
  }
  requantization_.multiplier = multiplier_.as<float>();
  requantization_.offset = offset_.as<float>();
  const int64_t smallest = random.chance(0.5) ? -128 : 0;  // of int8 or of uint8
  requantization_.zero_point = static_cast<int32_t>(random.between(smallest, smallest + 255));
  requantization_.low = static_cast<int32_t>(
      random.chance(0.3)       ? smallest
          : random.chance(0.5) ? requantization_.zero_point
                               : random.between(smallest, smallest + 255));
  requantization_.high = static_cast<int32_t>(
      random.chance(0.5) ? smallest + 255 : random.between(requantization_.low, smallest + 255));
  for (int64_t i = 0; i < outputs_; ++i) {
    addend_.as<uint8_t>()[i] = static_cast<uint8_t>(random.between(0, 255));
  }
  requantization_.addend_flip = random.chance(0.5) ? 0x80 : 0;
  requantization_.addend_multiplier = random.real(0, 4);
}

int32_t RunMemory::sum(int64_t pixel, int64_t channel) const {
  const int64_t block = channel / kBlockColumns;
  const int64_t columns = run_.columns(block);
  const int8_t* const weight = weight_.as<int8_t>() + block * run_.block_stride();
  int64_t sum = 0;
  for (int64_t tap = 0; tap < run_.taps(); ++tap) {
    const uint8_t* const values = activation_.as<uint8_t>() + pixel * run_.pixel_stride +
        run_.tap_offsets[static_cast<size_t>(tap)];
    for (int64_t k = 0; k < run_.used_quads * kQuad; ++k) {
      const int64_t quad = run_.place(tap) * run_.k_blocks * run_.quads + k / kQuad;
      sum += values[k] * weight[(quad * columns + channel % kBlockColumns) * kQuad + k % kQuad];
    }
  }
  if (run_.zero_points) {
    sum -= int64_t{zero_points_.as<int32_t>()[channel]} * activation_sums_.as<int32_t>()[pixel];
  }
  if (run_.first_sums) {
    sum += first_sums_.as<int32_t>()[channel];
  }
  return static_cast<int32_t>(sum);
}

void RunMemory::expect() {
  expected_bytes_.assign(static_cast<size_t>(outputs_), 0xa5);
  stored_.assign(static_cast<size_t>(outputs_), false);
  expected_sums_.assign(static_cast<size_t>(outputs_), static_cast<int32_t>(0xa5a5a5a5));
  for (int64_t p = 0; p < run_.pixels; ++p) {
    if (p % run_.row_pitch >= run_.row_width) {
      continue;
    }
    for (int64_t c = 0; c < run_.out_channels; ++c) {
      const auto place = static_cast<size_t>(
          p / run_.row_pitch * run_.row_stride + p % run_.row_pitch * run_.output_pixel_stride + c);
      stored_[place] = true;
      expected_sums_[place] = sum(p, c);
      float value = std::fma(
          static_cast<float>(expected_sums_[place]), requantization_.multiplier[c],
          requantization_.offset[c]);
      if (run_.store == Store::kBytesAdded) {
        const uint8_t byte = addend_.as<uint8_t>()[place];
        // Signed ones are 128 larger as the kernel reads them.
        const int added = requantization_.addend_flip == 0 ? byte : static_cast<int8_t>(byte) + 128;
        value = std::fma(static_cast<float>(added), requantization_.addend_multiplier, value);
      }
      const int64_t q = std::llrint(value) + requantization_.zero_point;
      expected_bytes_[place] =
          static_cast<uint8_t>(std::clamp<int64_t>(q, requantization_.low, requantization_.high));
    }
  }
}

std::string RunMemory::check(const TestedKernel& kernel, bool in_place) {
  widen_activations(activation_.as<uint8_t>(), activations_, wide_activation_.as<uint16_t>());
  std::memset(output_.as<void>(), 0xa5, static_cast<size_t>(outputs_ * element_bytes(run_.store)));
  DenseArguments arguments;
  arguments.activation = kernel.wide_activations
      ? static_cast<const void*>(wide_activation_.as<uint16_t>() + run_.first_offset)
      : activation_.as<uint8_t>() + run_.first_offset;
  arguments.comes_from_afar = run_.comes_from_afar;
  std::vector<int64_t> tap_offsets = run_.tap_offsets;
  for (int64_t& offset : tap_offsets) {
    offset -= run_.first_offset;
  }
  arguments.pixels = run_.pixels;
  arguments.pixel_stride = run_.pixel_stride;
  arguments.tap_offsets = tap_offsets.data();
  arguments.taps = run_.taps();
  arguments.tap_places = run_.tap_places.empty() ? nullptr : run_.tap_places.data();
  arguments.weight = weight_.as<int8_t>();
  arguments.block_stride = run_.block_stride();
  arguments.k_blocks = run_.k_blocks;
  arguments.quads = run_.quads;
  arguments.used_quads = run_.used_quads;
  arguments.out_channels = run_.out_channels;
  arguments.last_columns = run_.last_columns;
  if (run_.zero_points) {
    arguments.weight_zero_points = zero_points_.as<int32_t>();
    arguments.activation_sums = activation_sums_.as<int32_t>();
  }
  arguments.first_sums = run_.first_sums ? first_sums_.as<int32_t>() : nullptr;
  if (run_.store != Store::kSums) {
    arguments.requantization = requantization_;
  }
  arguments.output = {
      .data = output_.as<void>(),
      .pixel_stride = run_.output_pixel_stride,
      .row_stride = run_.row_stride,
      .row_pitch = run_.row_pitch,
      .row_width = run_.row_width,
  };
  arguments.store = run_.store;
  if (run_.store == Store::kBytesAdded && in_place) {
    std::memcpy(output_.data(), addend_.data(), static_cast<size_t>(outputs_));
    arguments.addend = output_.data();
  } else if (run_.store == Store::kBytesAdded) {
    arguments.addend = addend_.data();
  }
  kernel.run(arguments);
  for (int64_t i = 0; i < outputs_; ++i) {
    const auto place = static_cast<size_t>(i);
    const bool sums = run_.store == Store::kSums;
    const int64_t got = sums ? output_.as<int32_t>()[i] : output_.as<uint8_t>()[i];
    const bool kept = arguments.addend == output_.data() && !stored_[place];
    const int64_t expected = sums ? expected_sums_[place]
        : kept                    ? addend_.as<uint8_t>()[i]
                                  : expected_bytes_[place];
    if (got != expected) {
      return "output " + std::to_string(i) + " is " + std::to_string(got) + " instead of " +
          std::to_string(expected);
    }
  }
  return "";
}

bool check_run(const Run& run, const std::vector<TestedKernel>& all, Random& random) {
  bool right = true;
  for (const TestedKernel& kernel : all) {
    const std::string fault = RunMemory(run, kernel, random).check(kernel, random.chance(0.3));
    if (!fault.empty()) {
      std::printf("%s: %s (%s)\n", kernel.name.c_str(), fault.c_str(), run.text().c_str());
      right = false;
    }
  }
  return right;
}

// Pixels and channels around the edges of tiles and blocks, all combinations.
bool check_edges(const std::vector<TestedKernel>& all, Random& random) {
  bool right = true;
  for (int64_t pixels = 1; pixels <= 33; ++pixels) {
    for (const int64_t channels : {1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 15, 16, 17, 20, 31, 32, 33}) {
      Run run = random_run(random);
      run.pixels = pixels;
      run.out_channels = channels;
      run.last_columns = ((channels - 1) % kBlockColumns + kQuad) / kQuad * kQuad;
      run.k_blocks = 1;
      run.used_quads = std::min(run.used_quads, run.quads);
      run.row_pitch = run.row_width = pixels;
      run.output_pixel_stride = channels;
      run.row_stride = pixels * channels;
      right = check_run(run, all, random) && right;
    }
  }
  return right;
}

// As long as sums get, with the numbers that saturate 16 and 32 bits first.
bool check_long_sums(const std::vector<TestedKernel>& all, Random& random) {
  bool right = true;
  for (const Values values : {Values::kLargest, Values::kSaturating, Values::kRandom}) {
    Run run = random_run(random);
    run.pixels = 7;
    run.out_channels = run.last_columns = run.output_pixel_stride = 16;
    run.row_pitch = run.row_width = 7;
    run.quads = 16;
    run.k_blocks = 128;
    run.used_quads = run.k_blocks * run.quads;
    run.pixel_stride = run.used_quads * kQuad;
    run.tap_offsets.assign(8, 5);
    run.first_offset = 5;
    run.packed_taps = run.taps();
    run.tap_places.clear();
    run.store = Store::kSums;
    run.zero_points = false;
    run.first_sums = false;
    run.values = values;
    right = check_run(run, all, random) && right;
  }
  return right;
}

using Widen = void (*)(const uint8_t*, int64_t, uint16_t*);

bool check_widening(const char* name, Widen widen, Random& random) {
  for (int64_t count = 0; count <= 200; ++count) {
    const GuardedMemory from(static_cast<size_t>(count));
    const GuardedMemory to(static_cast<size_t>(count) * sizeof(uint16_t));
    for (int64_t i = 0; i < count; ++i) {
      from.as<uint8_t>()[i] = static_cast<uint8_t>(random.between(0, 255));
    }
    widen(from.as<uint8_t>(), count, to.as<uint16_t>());
    if (!std::equal(from.as<uint8_t>(), from.as<uint8_t>() + count, to.as<uint16_t>())) {
      std::printf("%s: wrong for a count of %ld\n", name, static_cast<long>(count));
      return false;
    }
  }
  return true;
}

#if defined(__x86_64__)
// A single large value at every place.
bool check_below_128() {
  for (int64_t count = 0; count <= 300; ++count) {
    const GuardedMemory memory(static_cast<size_t>(count));
    auto* const values = memory.as<uint8_t>();
    std::fill(values, values + count, uint8_t{127});
    bool right = all_below_128_avx2(values, count);
    for (int64_t i = 0; i < count; ++i) {
      values[i] = 128;
      right = right && !all_below_128_avx2(values, count);
      values[i] = 127;
    }
    if (!right) {
      std::printf("all_below_128_avx2: wrong for a count of %ld\n", static_cast<long>(count));
      return false;
    }
  }
  return true;
}
#endif

int test(int64_t runs, uint64_t seed) {
  const std::vector<TestedKernel> all =
      tested_kernels(&KernelSet::dense, &KernelSet::dense_below_128, dense_avx_vnni_evex);
  print_kernels(seed, all);
  Random random(seed);
  bool right = check_edges(all, random);
  right = check_long_sums(all, random) && right;
  right = check_widening("widen_activations", widen_activations, random) && right;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    right = check_widening("widen_activations_avx2", widen_activations_avx2, random) && right;
    right = check_below_128() && right;
  }
#endif
  for (int64_t i = 0; i < runs; ++i) {
    right = check_run(random_run(random), all, random) && right;
  }
  std::printf(right ? "all right\n" : "WRONG\n");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace qconv::native::test

int main(int count, char** arguments) {
  const int64_t runs = count > 1 ? std::stoll(arguments[1]) : 2000;
  const uint64_t seed = count > 2 ? std::stoull(arguments[2]) : std::random_device()();
  return qconv::native::test::test(runs, seed);
}
