#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

namespace qconv::native::test {

// Bytes whose end is the end of a page, followed by one that may not be touched: reading or writing
// a byte too far ends the process.
class GuardedMemory {
 public:
  explicit GuardedMemory(int64_t bytes) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    const int64_t used = (bytes + page - 1) / page * page;
    size_ = used + page;
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED ||
        mprotect(static_cast<char*>(memory_) + used, page, PROT_NONE) != 0) {
      throw std::bad_alloc();
    }
    data_ = static_cast<uint8_t*>(memory_) + used - bytes;
  }
  ~GuardedMemory() { munmap(memory_, size_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  uint8_t* data() const { return data_; }

 private:
  void* memory_ = nullptr;
  int64_t size_ = 0;
  uint8_t* data_ = nullptr;
};

}  // namespace qconv::native::test
