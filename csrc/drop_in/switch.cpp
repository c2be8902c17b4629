#include "drop_in/switch.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "conv/check.h"
#include "drop_in/class_methods.h"
#include "drop_in/engine.h"
#include "drop_in/overrides.h"
#include "engines/choose_engine.h"

namespace qconv {
namespace {

struct Ticket {
  int64_t number;
  std::optional<std::string> engine;
};

struct Switch {
  std::mutex mutex;
  std::vector<Ticket> tickets;  // in the order in which they were given out
  int64_t next_number = 0;
  std::vector<c10::RegistrationHandleRAII> overrides;
};

// Never destroyed: a process may end with the mode on, its threads running.
Switch& the_switch() {
  static Switch& instance = *new Switch();
  return instance;
}

}  // namespace

int64_t enable_drop_in(std::optional<std::string> engine) {
  if (engine) {
    check_engine_name("drop-in mode", *engine);
  }
  Switch& mode = the_switch();
  const std::lock_guard<std::mutex> lock(mode.mutex);
  if (mode.tickets.empty()) {
    std::vector<c10::RegistrationHandleRAII> overrides = override_ops();
    replace_class_methods();
    mode.overrides = std::move(overrides);
  }
  set_drop_in_engine(engine);
  mode.tickets.push_back({mode.next_number++, std::move(engine)});
  return mode.tickets.back().number;
}

void disable_drop_in(int64_t ticket) {
  Switch& mode = the_switch();
  const std::lock_guard<std::mutex> lock(mode.mutex);
  const auto found = std::find_if(
      mode.tickets.begin(), mode.tickets.end(),
      [ticket](const Ticket& held) { return held.number == ticket; });
  QCONV_CHECK_VALUE(
      found != mode.tickets.end(), "disable", "ticket must be one that is out, got ", ticket);
  mode.tickets.erase(found);
  if (mode.tickets.empty()) {
    restore_class_methods();
    mode.overrides.clear();
  }
  set_drop_in_engine(mode.tickets.empty() ? std::nullopt : mode.tickets.back().engine);
}

}  // namespace qconv
