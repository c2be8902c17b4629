#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace qconv::native::test {

// Memory between two pages that can't be touched: reading or writing beyond its end, or before its
// start where it is at the start of its first page instead of at the end of its last, ends the
// program.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes, bool at_end = true) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inside = (bytes + page - 1) / page * page;
    mapped_bytes_ = inside + 2 * page;
    void* const mapped =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
      throw std::bad_alloc();
    }
    mapped_ = static_cast<uint8_t*>(mapped);
    mprotect(mapped_, page, PROT_NONE);
    mprotect(mapped_ + page + inside, page, PROT_NONE);
    data_ = mapped_ + page + (at_end ? inside - bytes : 0);
  }
  ~GuardedMemory() { munmap(mapped_, mapped_bytes_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  uint8_t* data() const { return data_; }
  template <typename Element>
  Element* as() const {
    return reinterpret_cast<Element*>(data_);
  }

 private:
  uint8_t* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  uint8_t* data_ = nullptr;
};

}  // namespace qconv::native::test
