// Speed of the dense kernels alone, one thread, warm: billions of operations (2 a multiply-add) a
// second on layers of real networks, and as a share of what the kernel's multiplying instructions
// reach on registers.
#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "avx_vnni_evex.h"
#include "native/cpu/instruction_set.h"
#include "native/format/layout.h"
#include "native/kernels/kernel_set.h"
#include "native/kernels/widen.h"

namespace qconv::native {
namespace {

struct Layer {
  const char* name;
  int64_t in_channels, out_channels, kernel, stride, size;
};

constexpr Layer kLayers[] = {
    {"64->64 3x3 56", 64, 64, 3, 1, 56},        {"64->64 1x1 56", 64, 64, 1, 1, 56},
    {"64->256 1x1 56", 64, 256, 1, 1, 56},      {"256->64 1x1 56", 256, 64, 1, 1, 56},
    {"128->128 3x3 s2 56", 128, 128, 3, 2, 56}, {"128->128 3x3 28", 128, 128, 3, 1, 28},
    {"512->128 1x1 28", 512, 128, 1, 1, 28},    {"256->256 3x3 14", 256, 256, 3, 1, 14},
    {"1024->256 1x1 14", 1024, 256, 1, 1, 14},  {"512->512 3x3 7", 512, 512, 3, 1, 7},
    {"2048->512 1x1 7", 2048, 512, 1, 1, 7},    {"512->2048 1x1 7", 512, 2048, 1, 1, 7},
    {"32->16 1x1 112", 32, 16, 1, 1, 112},      {"16->96 1x1 112", 16, 96, 1, 1, 112},
    {"96->24 1x1 56", 96, 24, 1, 1, 56},        {"24->144 1x1 56", 24, 144, 1, 1, 56},
    {"144->32 1x1 28", 144, 32, 1, 1, 28},      {"32->192 1x1 28", 32, 192, 1, 1, 28},
    {"64->384 1x1 14", 64, 384, 1, 1, 14},      {"576->96 1x1 14", 576, 96, 1, 1, 14},
    {"96->576 1x1 14", 96, 576, 1, 1, 14},      {"160->960 1x1 7", 160, 960, 1, 1, 7},
    {"960->320 1x1 7", 960, 320, 1, 1, 7},
};

struct Kernel {
  std::string name;
  DenseKernel dense;
  bool wide;
  bool widens;  // with the widening copy that it needs, block by block
  double peak;  // multiply-adds a second
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr int64_t kPeakSteps = 400'000;
constexpr int kRounds = 25;

// 12 chains of a multiplying instruction (with its addition, for vpmaddwd) without any memory.
#define QCONV_PEAK(name, target_name, text, multiply_adds)                                         \
  __attribute__((target(target_name), noinline)) double name() {                                   \
    double fastest = 1;                                                                            \
    for (int round = 0; round < kRounds; ++round) {                                                \
      const double begin = seconds();                                                              \
      for (int64_t i = 0; i < kPeakSteps; ++i) {                                                   \
        __asm__ volatile(text(0) text(1) text(2) text(3) text(4) text(5) text(6) text(7) text(8)   \
                             text(9) text(10) text(11)::                                           \
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
                                   "xmm8", "xmm9", "xmm10", "xmm11", "xmm13");                     \
      }                                                                                            \
      fastest = std::min(fastest, seconds() - begin);                                              \
    }                                                                                              \
    return 12.0 * multiply_adds * kPeakSteps / fastest;                                            \
  }
#define QCONV_VPMADDWD(i) \
  "vpmaddwd %%ymm15, %%ymm14, %%ymm13\n vpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n"
#define QCONV_VPDPBUSD(i) "%{evex%} vpdpbusd %%ymm15, %%ymm14, %%ymm" #i "\n"
#define QCONV_VPDPBUSD_VEX(i) "%{vex%} vpdpbusd %%ymm15, %%ymm14, %%ymm" #i "\n"
#define QCONV_VPDPBUSD_ZMM(i) "vpdpbusd %%zmm15, %%zmm14, %%zmm" #i "\n"
QCONV_PEAK(peak_avx2, "avx2", QCONV_VPMADDWD, 16)
QCONV_PEAK(peak_evex, "avx2", QCONV_VPDPBUSD, 32)
QCONV_PEAK(peak_vex, "avx2", QCONV_VPDPBUSD_VEX, 32)
QCONV_PEAK(peak_avx512, "avx512f", QCONV_VPDPBUSD_ZMM, 64)

std::vector<Kernel> kernels() {
  std::vector<Kernel> found;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (!entry.supported || entry.set == InstructionSet::kScalar ||
        entry.set == InstructionSet::kAmxInt8) {
      continue;
    }
    const KernelSet* const set = kernel_set(entry.set);
    const double peak = entry.set == InstructionSet::kAvx2 ? peak_avx2()
        : entry.set == InstructionSet::kAvxVnni            ? peak_vex()
                                                           : peak_avx512();
    found.push_back({entry.name, set->dense, set->widen != nullptr, false, peak});
    if (set->widen != nullptr) {
      found.push_back({entry.name + std::string(" + widening"), set->dense, true, true, peak});
    }
  }
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl")) {
    found.push_back({"avx_vnni as EVEX", dense_avx_vnni_evex, false, false, peak_evex()});
  }
  return found;
}

class Bench {
 public:
  explicit Bench(const Layer& layer) : layer_(layer) {
    const int64_t padding = layer.kernel / 2;
    out_size_ = (layer.size + 2 * padding - layer.kernel) / layer.stride + 1;
    padded_size_ = layer.size + 2 * padding;
    depth_ = layer.in_channels;
    narrow_.resize(static_cast<size_t>(padded_size_ * padded_size_ * depth_));
    for (uint8_t& value : narrow_) {
      value = static_cast<uint8_t>(std::rand());
    }
    wide_.resize(narrow_.size());
    widen_activations(narrow_.data(), static_cast<int64_t>(narrow_.size()), wide_.data());
    for (int64_t h = 0; h < layer.kernel; ++h) {
      for (int64_t w = 0; w < layer.kernel; ++w) {
        tap_offsets_.push_back((h * padded_size_ + w) * depth_);
      }
    }
    const int64_t quads = (depth_ + 3) / 4;
    const int64_t k_blocks = (quads + 15) / 16;
    const int64_t quads_per_block = (quads + k_blocks - 1) / k_blocks;
    const int64_t taps = static_cast<int64_t>(tap_offsets_.size());
    const int64_t blocks = (layer.out_channels + 15) / 16;
    weight_.resize(static_cast<size_t>(blocks * taps * k_blocks * quads_per_block * 64 + 64));
    for (int8_t& value : weight_) {
      value = static_cast<int8_t>(std::rand());
    }
    multiplier_.assign(static_cast<size_t>(layer.out_channels + 32), 1e-4F);
    offset_.assign(static_cast<size_t>(layer.out_channels + 32), 1.5F);
    output_.resize(static_cast<size_t>(out_size_ * out_size_ * layer.out_channels));
    arguments_.pixel_stride = layer.stride * depth_;
    arguments_.tap_offsets = tap_offsets_.data();
    arguments_.taps = taps;
    arguments_.weight = weight_.data();
    arguments_.block_stride = taps * k_blocks * quads_per_block * 64;
    arguments_.k_blocks = k_blocks;
    arguments_.quads = quads_per_block;
    arguments_.used_quads = quads;
    arguments_.out_channels = layer.out_channels;
    arguments_.last_columns = (layer.out_channels + 3) / 4 * 4 % 16;
    if (arguments_.last_columns == 0) {
      arguments_.last_columns = 16;
    }
    arguments_.requantization = {multiplier_.data(), offset_.data(), 3, 0, 255};
    arguments_.output.pixel_stride = layer.out_channels;
    arguments_.output.row_stride = out_size_ * layer.out_channels;
    arguments_.output.row_width = out_size_;
  }

  // As many rows a call as have their activations in kCallBytes; they are joined where the pixels
  // of several have a constant distance.
  void run(const Kernel& kernel) {
    constexpr int64_t kCallBytes = 65536;
    const int64_t row_elements = padded_size_ * depth_;
    const bool joins = layer_.stride == 1;
    const int64_t fitting = kCallBytes / (row_elements * (kernel.wide ? 2 : 1));
    const int64_t step = joins ? std::clamp<int64_t>(fitting, 1, out_size_) : 1;
    arguments_.output.row_pitch = joins ? padded_size_ : out_size_;
    for (int64_t row = 0; row < out_size_; row += step) {
      const int64_t rows = std::min(step, out_size_ - row);
      const int64_t first = row * layer_.stride * row_elements;
      if (kernel.widens) {
        const int64_t input_rows = (rows - 1) * layer_.stride + layer_.kernel;
        widen_activations_avx2(narrow_.data() + first, input_rows * row_elements, wide_.data());
      }
      arguments_.activation = kernel.widens ? wide_.data()
          : kernel.wide                     ? static_cast<const void*>(wide_.data() + first)
                                            : static_cast<const void*>(narrow_.data() + first);
      arguments_.pixels = (rows - 1) * arguments_.output.row_pitch + out_size_;
      arguments_.output.data = output_.data() + row * arguments_.output.row_stride;
      kernel.dense(arguments_);
    }
  }

  double multiply_adds() const {
    return static_cast<double>(
        out_size_ * out_size_ * layer_.out_channels * depth_ * layer_.kernel * layer_.kernel);
  }

 private:
  const Layer& layer_;
  int64_t out_size_, padded_size_, depth_;
  std::vector<uint8_t> narrow_;
  std::vector<uint16_t> wide_;
  std::vector<int64_t> tap_offsets_;
  std::vector<int8_t> weight_;
  std::vector<float> multiplier_, offset_;
  std::vector<uint8_t> output_;
  DenseArguments arguments_;
};

// The fastest of several: what else runs on the machine only ever adds time.
double fastest(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

void measure() {
  const std::vector<Kernel> all = kernels();
  std::printf("%-20s", "GOPS, % of peak");
  for (const Kernel& kernel : all) {
    std::printf(" | %s (peak %.0f)", kernel.name.c_str(), 2e-9 * kernel.peak);
  }
  std::printf("\n");
  for (const Layer& layer : kLayers) {
    Bench bench(layer);
    std::vector<std::vector<double>> times(all.size());
    constexpr double kSecondsPerRound = 0.002;
    for (int round = 0; round < kRounds; ++round) {
      for (size_t i = 0; i < all.size(); ++i) {
        bench.run(all[i]);
        const double begin = seconds();
        int64_t repeats = 0;
        double now = begin;
        for (; now - begin < kSecondsPerRound; now = seconds()) {
          bench.run(all[i]);
          ++repeats;
        }
        times[i].push_back((now - begin) / static_cast<double>(repeats));
      }
    }
    std::printf("%-20s", layer.name);
    for (size_t i = 0; i < all.size(); ++i) {
      const double time = fastest(times[i]);
      const double rate = bench.multiply_adds() / time;
      std::printf(" | %6.0f %3.0f %%", 2e-9 * rate, 100 * rate / all[i].peak);
    }
    std::printf("\n");
  }
}

}  // namespace
}  // namespace qconv::native

int main() {
  qconv::native::measure();
  return 0;
}

#endif
