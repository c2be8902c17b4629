#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <vector>

namespace qconv {

// Registers this package's kernels for PyTorch's ops. They are gone, and PyTorch's back, when the
// handles are destroyed.
//
// Other threads may call the ops meanwhile. The dispatcher then gives them the old or the new
// kernel: both are plain functions, without an object of their own that could be half replaced or
// freed under a caller.
std::vector<c10::RegistrationHandleRAII> override_ops();

}  // namespace qconv
