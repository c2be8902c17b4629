// libFuzzer's entry for the validator: any bytes are refused with std::invalid_argument, or
// everything that they promise can be read. packed_view_fuzz_test.cpp calls it with mutations of
// sound buffers; clang builds a fuzzer from it (CMake option QCONV_FUZZ).
#include "fuzz_packed_view.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "native/format/packed_view.h"
#include "native/format/unpack.h"

namespace {

using namespace qconv::native;

// Reads whatever a kernel may read. Returns something made of it, so that it isn't left out.
double read_all(const PackedView& view) {
  double sum = 0;
  std::vector<int8_t> weight(static_cast<size_t>(view.original.weights()));
  unpack_weight(view, weight.data());
  const Phases phases(view.conv);
  for (int64_t i = 0; i < phases.weight_bytes() + 64; ++i) {
    sum += view.weight[i];
  }
  for (int64_t i = 0; i < phases.count() * view.conv.out_channels; ++i) {
    sum += view.column_sums[i];
  }
  for (int64_t channel = 0; channel < view.conv.out_channels; ++channel) {
    sum += view.scale(channel) + view.zero_point(channel);
    sum += view.bias == nullptr ? 0 : view.bias[channel];
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Memory of exactly this size, so that AddressSanitizer sees every byte read beyond it.
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, size == 0 ? 1 : size) != 0) {
    return 0;
  }
  const std::unique_ptr<void, Free> owner(memory);
  if (size != 0) {
    std::memcpy(memory, data, size);
  }
  int accepted = 0;
  for (bool verify : {false, true}) {
    try {
      const volatile double sum = read_all(view_packed(memory, size, verify));
      static_cast<void>(sum);
      ++accepted;
    } catch (const std::invalid_argument&) {
    }
  }
  return accepted == 0 ? -1 : 0;  // -1: libFuzzer doesn't keep it
}
