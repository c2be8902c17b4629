#include "ops/engine_ops.h"

#include <pthread.h>

#include <atomic>
#include <thread>

#include "engines/choose_engine.h"
#include "engines/engine_table.h"

namespace qconv {
namespace {

std::atomic<DefaultEngineCallback> python_callback{nullptr};
// Threads that are in the callback, or about to call it or to see that it is gone.
std::atomic<int64_t> calls_under_way{0};

// The callback waits for Python's interpreter lock, so it must not be called under any lock that a
// thread may want while it holds the interpreter's.
int64_t ask_python() {
  struct Call {
    Call() { ++calls_under_way; }
    ~Call() { --calls_under_way; }
  } const call;
  const DefaultEngineCallback callback = python_callback.load();
  return callback == nullptr ? -1 : callback();
}

}  // namespace

std::vector<EngineRow> engines() {
  std::vector<EngineRow> rows;
  for (const EngineRecord& record : engine_records()) {
    rows.emplace_back(
        record.name, record.is_policy, record.available, record.version, record.instruction_set,
        record.reason);
  }
  return rows;
}

}  // namespace qconv

// For torch_qconv_prepack/_engines.py, through ctypes, which calls it without the interpreter lock;
// an op couldn't take a function pointer. nullptr: no default. When that returns, no thread is in
// the old callback and none will enter it, so Python may shut down.
extern "C" __attribute__((visibility("default"))) void torch_qconv_prepack_set_default_engine(
    qconv::DefaultEngineCallback callback) {
  // Threads that were in the callback when the process forked don't exist in the child.
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { qconv::calls_under_way = 0; });
  qconv::python_callback = callback;
  qconv::set_default_engine_callback(callback == nullptr ? nullptr : qconv::ask_python);
  while (callback == nullptr && qconv::calls_under_way != 0) {
    std::this_thread::yield();
  }
}
