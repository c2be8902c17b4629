#pragma once

#include <c10/util/Exception.h>

#include <cstdint>
#include <ostream>

// Checks of what a caller passes. Every message reads `op: argument must be X, got Y; remedy` and
// reaches Python as the exception class that its user expects.
// `op` is the name of the operation that the user called: a view, so that calls without an error
// make no string of it.

#define QCONV_CHECK_VALUE(condition, op, ...) TORCH_CHECK_VALUE(condition, op, ": ", __VA_ARGS__)

#define QCONV_CHECK_TYPE(condition, op, ...) TORCH_CHECK_TYPE(condition, op, ": ", __VA_ARGS__)

#define QCONV_CHECK_IMPLEMENTED(condition, op, ...) \
  TORCH_CHECK_NOT_IMPLEMENTED(condition, op, ": ", __VA_ARGS__)

namespace qconv {

// What a message says of an argument, put together only where one is raised: "input",
// "input scale", "weight scale of channel 3".
struct ArgumentName {
  ArgumentName(const char* name, const char* part = "", int64_t channel = -1)
      : name(name), part(part), channel(channel) {}

  const char* name;
  const char* part;
  int64_t channel;
};

inline std::ostream& operator<<(std::ostream& out, const ArgumentName& argument) {
  out << argument.name << argument.part;
  return argument.channel < 0 ? out : out << " of channel " << argument.channel;
}

}  // namespace qconv
