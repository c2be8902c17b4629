#pragma once

#include <c10/util/Exception.h>

// Checks of what a caller passes. Every message reads `op: argument must be X, got Y; remedy` and
// reaches Python as the exception class that its user expects.
// `op` is the name of the operation that the user called.

#define QCONV_CHECK_VALUE(condition, op, ...) TORCH_CHECK_VALUE(condition, op, ": ", __VA_ARGS__)

#define QCONV_CHECK_TYPE(condition, op, ...) TORCH_CHECK_TYPE(condition, op, ": ", __VA_ARGS__)

#define QCONV_CHECK_IMPLEMENTED(condition, op, ...) \
  TORCH_CHECK_NOT_IMPLEMENTED(condition, op, ": ", __VA_ARGS__)
