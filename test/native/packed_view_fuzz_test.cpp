// Mutations of sound buffers through the validator, the same ones in every run: flipped bits,
// truncations, extreme values in every field, headers of one convolution on the body of another.
// Worth most under AddressSanitizer (make native-sanitize).
//
//   packed_view_fuzz_test [cases] [seed]
#include <cstdio>
#include <cstdlib>
#include <random>

#include "fuzz_packed_view.h"
#include "packed_attacks.h"

// Compiled here, so that the file itself stays what libFuzzer wants.
#include "fuzz_packed_view.cpp"

namespace qconv::native::test {
namespace {

using Engine = std::mt19937_64;

constexpr size_t kLarge = 6;  // the place of the large buffer

constexpr uint64_t kExtremes[] = {
    0,          1,          2,          3,           4,          16,          63,
    64,         65,         127,        128,         255,        256,         65535,
    65536,      0x7fffffff, 0x80000000, 0xffffffff,  1ULL << 24, 1ULL << 40,  1ULL << 62,
    1ULL << 63, ~0ULL,      ~63ULL,     0x7fffffffU, 1U << 30,   0xfffffff0U, 1ULL << 32};

template <typename T, size_t kCount>
const T& one_of(Engine& engine, const T (&values)[kCount]) {
  return values[engine() % kCount];
}

// A random change to a random number of the header, or to a bit anywhere.
void mutate(Engine& engine, Spoiled& spoiled, const std::vector<Spoiled>& sound) {
  std::vector<uint8_t>& bytes = spoiled.bytes;
  const size_t reach = engine() % 2 == 0 ? sizeof(PackedHeader) : bytes.size();
  switch (engine() % 8) {
    case 0:
      bytes[engine() % bytes.size()] ^= static_cast<uint8_t>(1U << engine() % 8);
      return;
    case 1:
    case 2: {  // a 32-bit field
      const auto value = static_cast<uint32_t>(one_of(engine, kExtremes) + engine() % 3 - 1);
      std::memcpy(bytes.data() + engine() % (reach / 4) * 4, &value, sizeof(value));
      return;
    }
    case 3: {  // a 64-bit field
      const uint64_t value = one_of(engine, kExtremes) + engine() % 3 - 1;
      std::memcpy(bytes.data() + engine() % (reach / 8) * 8, &value, sizeof(value));
      return;
    }
    case 4: {  // a small step
      uint32_t value;
      uint8_t* const place = bytes.data() + engine() % (reach / 4) * 4;
      std::memcpy(&value, place, sizeof(value));
      value += static_cast<uint32_t>(engine() % 9) - 4;
      std::memcpy(place, &value, sizeof(value));
      return;
    }
    case 5:
      bytes.resize(bytes.size() - std::min<size_t>(bytes.size() - 256, engine() % 129));
      return;
    case 6: {  // the header, or a part of it, of another buffer
      const size_t begin = engine() % (sizeof(PackedHeader) / 4) * 4;
      const size_t length = engine() % 2 == 0 ? sizeof(PackedHeader) - begin : 4;
      std::memcpy(
          bytes.data() + begin, sound[engine() % sound.size()].bytes.data() + begin, length);
      return;
    }
    default:  // bytes swapped
      std::swap(bytes[engine() % reach], bytes[engine() % reach]);
  }
}

int fuzz(int64_t cases, uint64_t seed) {
  Convolution three_dims = conv2d(4, 4, 2, 2);
  three_dims.spatial_dims = 3;
  three_dims.kernel[0] = 2;
  const std::vector<Spoiled> sound = {
      sound_buffer(conv2d(5, 20, 3, 3)),
      sound_buffer(conv2d(3, 8, 7, 7), 0.1),
      sound_buffer(transposed(conv2d(5, 20, 3, 3), {1, 2, 2})),
      sound_buffer(transposed(conv2d(20, 20, 4, 3, 20), {1, 2, 3})),
      sound_buffer(conv2d(20, 20, 3, 3, 20)),
      sound_buffer(conv2d(6, 6, 1, 1, 2)),
      sound_buffer(conv2d(20, 20, 3, 3, 5)),
      sound_buffer(conv2d(24, 16, 1, 2, 2), 0.3),
      sound_buffer(conv2d(2048, 33, 1, 1)),
      sound_buffer(three_dims),
      sound_buffer(conv2d(1, 1, 1, 1)),
      sound_buffer(conv2d(80, 17, 1, 1), 0.3)};
  for (const Spoiled& buffer : sound) {
    if (LLVMFuzzerTestOneInput(buffer.bytes.data(), buffer.bytes.size()) != 0) {
      std::printf("a sound buffer of %zu bytes is refused\n", buffer.bytes.size());
      return 1;
    }
  }
  int64_t accepted = 0;
  for (int64_t i = 0; i < cases; ++i) {
    Engine engine(seed + static_cast<uint64_t>(i));
    // The large buffer seldom: it takes as long as a hundred small ones.
    Spoiled spoiled = sound[engine() % 100 == 0 ? kLarge : engine() % 2 == 0 ? 0 : engine() % 6];
    for (uint64_t count = 1 + engine() % 3; count > 0; --count) {
      mutate(engine, spoiled, sound);
    }
    if (engine() % 2 == 0) {
      spoiled.fix_checksum();
    }
    accepted += LLVMFuzzerTestOneInput(spoiled.bytes.data(), spoiled.bytes.size()) == 0 ? 1 : 0;
  }
  std::printf(
      "%ld cases, seed %lu: none left the buffer; %ld accepted\n", static_cast<long>(cases),
      static_cast<unsigned long>(seed), static_cast<long>(accepted));
  return 0;
}

}  // namespace
}  // namespace qconv::native::test

int main(int argc, char** argv) {
  const int64_t cases = argc > 1 ? std::atol(argv[1]) : 100000;
  return qconv::native::test::fuzz(cases, argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1);
}
