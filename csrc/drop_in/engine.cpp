#include "drop_in/engine.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "engines/engine_table.h"

namespace qconv {
namespace {

constexpr int64_t kNone = -1;

// Index in engine_names(): kernels read it without a lock, so none can be held in a forked child.
std::atomic<int64_t> engine_index{kNone};

}  // namespace

std::optional<std::string> drop_in_engine() {
  const int64_t index = engine_index.load();
  return index == kNone ? std::nullopt : std::make_optional(engine_names()[index]);
}

void set_drop_in_engine(const std::optional<std::string>& name) {
  if (!name) {
    engine_index = kNone;
    return;
  }
  const std::vector<std::string> names = engine_names();
  engine_index = std::find(names.begin(), names.end(), *name) - names.begin();
}

}  // namespace qconv
