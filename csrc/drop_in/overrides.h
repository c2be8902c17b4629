#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <vector>

namespace qconv {

// Registers this package's kernels for PyTorch's ops. They are gone, and PyTorch's back, when the
// handles are destroyed. Other threads may call the ops meanwhile.
std::vector<c10::RegistrationHandleRAII> override_ops();

}  // namespace qconv
