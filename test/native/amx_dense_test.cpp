// Holds the AMX kernel to its contract (kernels/dense.h), written out naively: the same bytes, no
// other byte of the output touched, and no access beyond any buffer, each of which ends at a page
// that can't be read. Compiled with QCONV_EMULATE_AMX it runs on any machine with AVX-512.
//
//   amx_dense_test [cases [seed]]

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "native/format/layout.h"
#include "native/kernels/amx_int8/dense.h"
#include "native/kernels/amx_int8/permission.h"

namespace {

using namespace qconv::native;

// Memory whose last byte lies before a page without access.
class GuardedBytes {
 public:
  explicit GuardedBytes(int64_t size) : size_(size) {
    mapped_ = (size + kPage - 1) / kPage * kPage + kPage;
    base_ = static_cast<uint8_t*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + mapped_ - kPage, kPage, PROT_NONE);
  }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;
  ~GuardedBytes() { munmap(base_, mapped_); }

  template <typename T = uint8_t>
  T* data() const {
    return reinterpret_cast<T*>(base_ + mapped_ - kPage - size_);
  }
  int64_t size() const { return size_; }

 private:
  static constexpr int64_t kPage = 4096;
  int64_t size_;
  int64_t mapped_;
  uint8_t* base_;
};

void naive(const DenseArguments& a, void* output) {
  const int64_t depth = a.k_blocks * a.quads * kQuad;
  for (int64_t p = 0; p < a.pixels; ++p) {
    const int64_t column = p % a.output.row_pitch;
    if (column >= a.output.row_width) {
      continue;
    }
    for (int64_t c = 0; c < a.out_channels; ++c) {
      const int64_t block = c / kBlockColumns;
      const bool last = block == (a.out_channels - 1) / kBlockColumns;
      const int64_t columns = last ? a.last_columns : kBlockColumns;
      uint32_t sum = a.first_sums == nullptr ? 0 : static_cast<uint32_t>(a.first_sums[c]);
      for (int64_t t = 0; t < a.taps; ++t) {
        const uint8_t* x =
            static_cast<const uint8_t*>(a.activation) + p * a.pixel_stride + a.tap_offsets[t];
        for (int64_t k = 0; k < depth; ++k) {
          const int64_t place = a.tap_places == nullptr ? t : a.tap_places[t];
          const int64_t quad = place * a.k_blocks * a.quads + k / kQuad;
          sum += static_cast<uint32_t>(
              x[k] *
              a.weight
                  [block * a.block_stride + (quad * columns + c % kBlockColumns) * kQuad +
                   k % kQuad]);
        }
      }
      if (a.weight_zero_points != nullptr) {
        sum -= static_cast<uint32_t>(a.weight_zero_points[c]) *
            static_cast<uint32_t>(a.activation_sums[p]);
      }
      const int64_t place =
          p / a.output.row_pitch * a.output.row_stride + column * a.output.pixel_stride + c;
      if (a.store == Store::kSums) {
        static_cast<int32_t*>(output)[place] = static_cast<int32_t>(sum);
        continue;
      }
      const Requantization& r = a.requantization;
      float value =
          std::fma(static_cast<float>(static_cast<int32_t>(sum)), r.multiplier[c], r.offset[c]);
      if (a.store == Store::kBytesAdded) {
        const uint8_t byte = static_cast<const uint8_t*>(a.addend)[place];
        const int added = r.addend_flip == 0 ? byte : static_cast<int8_t>(byte) + 128;
        value = std::fma(static_cast<float>(added), r.addend_multiplier, value);
      }
      const double q = std::nearbyint(static_cast<double>(value)) + r.zero_point;
      static_cast<uint8_t*>(output)[place] =
          static_cast<uint8_t>(std::clamp<double>(q, r.low, r.high));
    }
  }
}

class Generator {
 public:
  explicit Generator(uint64_t seed) : engine_(seed) {}
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  // Often next to a multiple of 16.
  int64_t near_edge(int64_t high) {
    const int64_t value =
        between(0, 1) == 0 ? between(1, high) : between(0, high / 16) * 16 + between(-1, 1);
    return std::clamp<int64_t>(value, 1, high);
  }
  bool chance(int percent) { return between(1, 100) <= percent; }
  void fill(uint8_t* data, int64_t size, bool extreme) {
    for (int64_t i = 0; i < size; ++i) {
      data[i] = static_cast<uint8_t>(extreme ? (chance(50) ? 255 : 128) : between(0, 255));
    }
  }

 private:
  std::mt19937_64 engine_;
};

bool run_case(Generator& random, int number) {
  DenseArguments a;
  a.pixels = random.near_edge(random.chance(80) ? 80 : 300);
  a.out_channels = random.near_edge(random.chance(80) ? 100 : 260);
  const int64_t used_bytes = random.near_edge(random.chance(70) ? 150 : 600);
  a.used_quads = (used_bytes + kQuad - 1) / kQuad;
  a.k_blocks = (a.used_quads + kQuadsPerTile - 1) / kQuadsPerTile;
  a.quads = (a.used_quads + a.k_blocks - 1) / a.k_blocks;
  a.taps = random.chance(50) ? 1 : random.between(1, 9);
  a.pixel_stride = random.between(1, 2 * used_bytes);
  const int64_t depth = a.k_blocks * a.quads * kQuad;
  std::vector<int64_t> taps(a.taps);
  int64_t furthest = 0;
  for (int64_t& offset : taps) {
    offset = random.between(0, 4 * used_bytes);
    furthest = std::max(furthest, offset);
  }
  a.tap_offsets = taps.data();

  const bool extreme = random.chance(10);
  GuardedBytes activation((a.pixels - 1) * a.pixel_stride + furthest + depth);
  random.fill(activation.data(), activation.size(), extreme);
  a.activation = activation.data();

  const int64_t tail = a.out_channels % kBlockColumns;
  a.last_columns = tail == 0 || random.chance(30) ? kBlockColumns : (tail + 3) / 4 * 4;
  const int64_t blocks = (a.out_channels + kBlockColumns - 1) / kBlockColumns;
  int64_t packed_taps = a.taps;
  std::vector<int64_t> places(a.taps);
  if (random.chance(30)) {
    packed_taps = 0;
    for (int64_t& place : places) {
      packed_taps += random.between(0, 2);
      place = packed_taps++;
    }
    packed_taps += random.between(0, 2);
    a.tap_places = places.data();
  }
  a.block_stride = packed_taps * depth * kBlockColumns;
  GuardedBytes weight((blocks - 1) * a.block_stride + packed_taps * depth * a.last_columns + 64);
  random.fill(weight.data(), weight.size(), extreme);
  a.weight = weight.data<int8_t>();

  const int64_t readable = (a.out_channels + 15) / 16 * 16 + 16;
  GuardedBytes multiplier(readable * 4);
  GuardedBytes offset(readable * 4);
  GuardedBytes zero_points(readable * 4);
  GuardedBytes first_sums(readable * 4);
  for (int64_t c = 0; c < readable; ++c) {
    multiplier.data<float>()[c] =
        static_cast<float>(random.between(1, 1000)) / 1000 / std::sqrt(a.taps * depth) / 50;
    offset.data<float>()[c] = static_cast<float>(random.between(-30000, 30000)) / 500;
    zero_points.data<int32_t>()[c] = static_cast<int32_t>(random.between(-128, 127));
    first_sums.data<int32_t>()[c] = static_cast<int32_t>(random.between(-100000, 100000));
  }
  const bool large_zero_points = random.chance(30);
  for (int64_t c = 0; large_zero_points && c < readable; ++c) {
    zero_points.data<int32_t>()[c] = static_cast<int32_t>(random.between(-2000000, 2000000));
  }
  GuardedBytes sums(a.pixels * 4);
  for (int64_t p = 0; p < a.pixels; ++p) {
    sums.data<int32_t>()[p] =
        static_cast<int32_t>(random.between(0, large_zero_points ? 200 : 100000));
  }
  if (random.chance(25)) {
    a.weight_zero_points = zero_points.data<int32_t>();
    a.activation_sums = sums.data<int32_t>();
  }
  a.first_sums = random.chance(30) ? first_sums.data<int32_t>() : nullptr;
  a.requantization.multiplier = multiplier.data<float>();
  a.requantization.offset = offset.data<float>();
  const int64_t smallest = random.chance(50) ? -128 : 0;  // of int8 or of uint8
  const int64_t largest = smallest + 255;
  a.requantization.zero_point = static_cast<int32_t>(random.between(smallest, largest));
  a.requantization.low = static_cast<int32_t>(
      random.chance(50) ? smallest : random.between(smallest, a.requantization.zero_point));
  a.requantization.high = static_cast<int32_t>(
      random.chance(50) ? largest : random.between(a.requantization.low, largest));
  a.requantization.addend_flip = random.chance(50) ? 0x80 : 0;
  a.requantization.addend_multiplier = static_cast<float>(random.between(0, 4000)) / 1000;

  a.store = random.chance(25) ? Store::kSums
      : random.chance(40)     ? Store::kBytesAdded
                              : Store::kBytes;
  const int64_t element = element_bytes(a.store);
  a.output.pixel_stride = a.out_channels + (random.chance(50) ? 0 : random.between(1, 40));
  a.output.row_pitch = random.chance(30) ? a.pixels : random.between(1, 2 + a.pixels);
  a.output.row_width =
      random.chance(40) ? a.output.row_pitch : random.between(1, a.output.row_pitch);
  a.output.row_stride =
      a.output.row_width * a.output.pixel_stride + (random.chance(50) ? 0 : random.between(0, 100));
  int64_t end = 0;
  for (int64_t p = 0; p < a.pixels; ++p) {
    if (p % a.output.row_pitch < a.output.row_width) {
      end = std::max(
          end,
          p / a.output.row_pitch * a.output.row_stride +
              p % a.output.row_pitch * a.output.pixel_stride + a.out_channels);
    }
  }
  GuardedBytes addend(end);
  random.fill(addend.data(), addend.size(), false);
  a.addend = addend.data();
  GuardedBytes expected(end * element);
  GuardedBytes output(end * element);
  std::memset(expected.data(), 0xcd, expected.size());
  naive(a, expected.data());
  std::memset(output.data(), 0xcd, output.size());
  a.output.data = output.data();
  // The addend in the output's own memory; what isn't stored must stay what it is.
  if (a.store == Store::kBytesAdded && random.chance(40)) {
    for (int64_t p = 0; p < a.pixels; ++p) {
      const int64_t column = p % a.output.row_pitch;
      if (column < a.output.row_width) {
        const int64_t place =
            p / a.output.row_pitch * a.output.row_stride + column * a.output.pixel_stride;
        std::copy_n(addend.data() + place, a.out_channels, output.data() + place);
      }
    }
    a.addend = output.data();
  }
  dense_amx_int8(a);
  if (std::memcmp(output.data(), expected.data(), output.size()) != 0) {
    std::printf(
        "case %d: %ld pixels, %ld channels (last block of %ld), %ld taps x %ld k blocks x %ld "
        "quads, row %ld of %ld, store %d, zero points %d, first sums %d: wrong\n",
        number, a.pixels, a.out_channels, a.last_columns, a.taps, a.k_blocks, a.quads,
        a.output.row_width, a.output.row_pitch, static_cast<int>(a.store),
        a.weight_zero_points != nullptr, a.first_sums != nullptr);
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef QCONV_EMULATE_AMX
  const bool available = __builtin_cpu_supports("avx512vnni");
#else
  const bool available = request_amx();
#endif
  if (!available) {
    std::printf("skipped: this machine lacks the instructions\n");
    return 77;
  }
  const int cases = argc > 1 ? std::atoi(argv[1]) : 300;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Generator random(seed);
  int failed = 0;
  for (int i = 0; i < cases && failed < 10; ++i) {
    failed += !run_case(random, i);
  }
  std::printf("seed %llu: %d cases, %d wrong\n", (unsigned long long)seed, cases, failed);
  return failed == 0 ? 0 : 1;
}
