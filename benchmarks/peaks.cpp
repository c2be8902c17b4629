// Prints how many int8 operations a second (in units of 10^9, two to a multiply-add) one core does
// at most with an instruction set: multiply-adds on registers alone, in enough independent chains.
//
//   peaks avx2 | avx_vnni | avx512_vnni | amx_int8
//
// avx2 multiplies 16-bit numbers (vpmaddwd, vpaddd), since its 8-bit multiplication saturates.
// The caller must know that the CPU has the instructions. Built by peaks.py.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

constexpr int kRounds = 20;

// The best of some rounds of `body`, which does `multiply_adds` each time it is called.
template <typename Body>
double best_gops(double multiply_adds, Body body) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2 * multiply_adds / time.count() / 1e9);
  }
  return best;
}

constexpr std::int64_t kLoops = 500'000;

#define CHAINS(one) \
  one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11)
#define LOOP(body, ...)        \
  std::int64_t loops = kLoops; \
  asm volatile("1:\n\t" body "dec %0\n\tjnz 1b" : "+r"(loops) : : "cc", __VA_ARGS__)
#define YMM \
  "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9", "ymm10", "ymm11"

// 15 holds one factor, 14 the other; their values don't matter. Products of vpmaddwd go to 13,
// which the CPU renames.
#define AVX2_STEP(i) \
  "vpmaddwd %%ymm14, %%ymm15, %%ymm13\n\tvpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n\t"
#define AVX_VNNI_STEP(i) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define AVX512_STEP(i) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #i "\n\t"

void avx2() {
  LOOP(CHAINS(AVX2_STEP), YMM, "ymm13");
}
void avx_vnni() {
  LOOP(CHAINS(AVX_VNNI_STEP), YMM);
}
void avx512_vnni() {
  LOOP(CHAINS(AVX512_STEP), YMM);
}

struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

bool enable_amx() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0)
    return false;
  static const TileConfig config;
  asm volatile("ldtilecfg %0" : : "m"(config));
  asm volatile(
      "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3\n\t"
      "tilezero %%tmm4\n\ttilezero %%tmm5\n\ttilezero %%tmm6\n\ttilezero %%tmm7"
      :
      :);
  return true;
}

void amx_int8() {
  LOOP(
      "tdpbusd %%tmm4, %%tmm6, %%tmm0\n\ttdpbusd %%tmm5, %%tmm6, %%tmm1\n\t"
      "tdpbusd %%tmm4, %%tmm7, %%tmm2\n\ttdpbusd %%tmm5, %%tmm7, %%tmm3\n\t",
      "memory");
}

}  // namespace

int main(int argument_count, char** arguments) {
  const char* name = argument_count == 2 ? arguments[1] : "";
  constexpr double kInstructions = 12.0 * kLoops;
  double gops = 0;
  if (std::strcmp(name, "avx2") == 0) {
    gops = best_gops(kInstructions * 16, avx2);
  } else if (std::strcmp(name, "avx_vnni") == 0) {
    gops = best_gops(kInstructions * 32, avx_vnni);
  } else if (std::strcmp(name, "avx512_vnni") == 0) {
    gops = best_gops(kInstructions * 64, avx512_vnni);
  } else if (std::strcmp(name, "amx_int8") == 0 && enable_amx()) {
    gops = best_gops(4.0 * kLoops * 16 * 16 * 64, amx_int8);
    asm volatile("tilerelease");
  }
  if (gops == 0)
    return 1;
  std::printf("%.0f\n", gops);
}
