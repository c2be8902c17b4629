#include "ops/engine_ops.h"

#include <ATen/Parallel.h>
#include <pthread.h>

#include <atomic>
#include <thread>

#include "engines/choose_engine.h"
#include "engines/engine_table.h"

namespace qconv {
namespace {

using ThreadState = void* (*)();

std::atomic<DefaultEngineCallback> engine_of_context{nullptr};
std::atomic<ThreadState> python_thread_state{nullptr};
std::atomic<int64_t> engine_of_process{-1};
// Threads that are in engine_of_context, or about to call it or to see that it is gone.
std::atomic<int64_t> calls_under_way{0};

// Waits for Python's interpreter lock, so it must not be called under any lock that a thread may
// want while it holds the interpreter's.
int64_t default_engine() {
  struct Call {
    Call() { ++calls_under_way; }
    ~Call() { --calls_under_way; }
  } const call;
  const DefaultEngineCallback callback = engine_of_context.load();
  // A thread that Python doesn't know has no context. To make it known for the call, as the
  // callback would, takes a lock that CPython 3.11 doesn't free in forked children.
  const bool has_context = callback != nullptr && python_thread_state.load()() != nullptr;
  return has_context ? callback() : engine_of_process.load();
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

int64_t release_scratch() {
  std::atomic<int64_t> bytes = 0;
  // A task for each thread.
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (const Engine* engine : all_engines()) {
      bytes += static_cast<int64_t>(engine->release_scratch());
    }
  });
  return bytes;
}

}  // namespace qconv

// For torch_qconv_prepack/_default_engine.py, through ctypes, which calls it without the
// interpreter lock; an op couldn't take function pointers. Engines are indices in engine_names(),
// or -1 for none.
//
// of_context: asks Python, from its threads only; nullptr: don't ask. When that returns, no thread
// is in the old callback and none will enter it, so Python may shut down. thread_state:
// PyGILState_GetThisThreadState, nullptr in threads that Python doesn't know.
extern "C" __attribute__((visibility("default"))) void torch_qconv_prepack_set_default_engine(
    qconv::DefaultEngineCallback of_context, qconv::ThreadState thread_state, int64_t of_process) {
  // Threads that were in the callback when the process forked don't exist in the child.
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { qconv::calls_under_way = 0; });
  qconv::engine_of_process = of_process;
  qconv::python_thread_state = thread_state;
  qconv::engine_of_context = of_context;
  qconv::set_default_engine_callback(qconv::default_engine);
  while (of_context == nullptr && qconv::calls_under_way != 0) {
    std::this_thread::yield();
  }
}
