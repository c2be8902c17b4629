#include "native/run/scratch.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <new>

namespace qconv::native {
namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

struct Slot {
  std::unique_ptr<void, Free> memory;
  size_t bytes = 0;
};

thread_local std::array<Slot, static_cast<size_t>(ScratchUse::kCount)> slots;

}  // namespace

void* scratch(ScratchUse use, size_t bytes) {
  Slot& slot = slots[static_cast<size_t>(use)];
  if (slot.bytes < bytes) {
    constexpr size_t kAlignment = 64;
    const size_t rounded = (bytes + bytes / 4 + kAlignment - 1) / kAlignment * kAlignment;
    slot = Slot();
    slot.memory.reset(std::aligned_alloc(kAlignment, rounded));
    if (!slot.memory) {
      throw std::bad_alloc();
    }
    slot.bytes = rounded;
  }
  return slot.memory.get();
}

size_t release_scratch() {
  size_t bytes = 0;
  for (Slot& slot : slots) {
    bytes += slot.bytes;
    slot = Slot();
  }
  return bytes;
}

}  // namespace qconv::native
