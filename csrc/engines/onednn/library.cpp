#include "engines/onednn/library.h"

#include "engines/onednn/implementation_guard.h"

#include <memory>
#include <new>
#include <utility>

namespace qconv::onednn {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Scratchpad {
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, kAlignment); }
  };

  std::unique_ptr<void, Free> memory;
  size_t size = 0;
};

thread_local Scratchpad kept;

}  // namespace

const dnnl::engine& cpu() {
  leave_out_amx();
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

const dnnl::stream& stream() {
  thread_local const dnnl::stream stream(cpu());
  return stream;
}

void check(dnnl_status_t status, const char* doing) {
  dnnl::error::wrap_c_api(status, doing);
}

void* scratchpad(size_t bytes) {
  constexpr size_t kKept = size_t{4} << 20;
  // A larger one than is kept goes at the thread's next call of another size.
  if (bytes > kept.size || (kept.size > kKept && bytes != kept.size)) {
    release_scratchpad();
    kept.memory.reset(::operator new(bytes, kAlignment));
    kept.size = bytes;
  }
  return kept.memory.get();
}

size_t release_scratchpad() {
  kept.memory.reset();
  return std::exchange(kept.size, 0);
}

std::string version_string() {
  const dnnl_version_t& version = *dnnl_version();
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
      std::to_string(version.patch);
}

}  // namespace qconv::onednn
