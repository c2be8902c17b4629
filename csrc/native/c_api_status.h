#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "native/format/packed_view.h"
#include "native/qconv_native.h"

struct qconv_packed {
  qconv::native::PackedView view;
};

namespace qconv::native {

inline void write_message(const char* text, char* message, size_t message_size) {
  if (message != nullptr && message_size != 0) {
    const size_t length = std::min(std::strlen(text), message_size - 1);
    std::memcpy(message, text, length);
    message[length] = '\0';
  }
}

// Runs `body` and turns what it throws into a status and a message.
template <typename Body>
qconv_status status_of(char* message, size_t message_size, const Body& body) noexcept {
  try {
    body();
    return QCONV_OK;
  } catch (const std::invalid_argument& error) {
    write_message(error.what(), message, message_size);
    return QCONV_INVALID_ARGUMENT;
  } catch (const std::bad_alloc&) {
    write_message("out of memory", message, message_size);
    return QCONV_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    write_message(error.what(), message, message_size);
  } catch (...) {
    write_message("unknown exception", message, message_size);
  }
  return QCONV_INTERNAL_ERROR;
}

inline void check_not_null(const void* pointer, const char* name) {
  if (pointer == nullptr) {
    throw std::invalid_argument(std::string(name) + " must not be NULL");
  }
}

}  // namespace qconv::native
