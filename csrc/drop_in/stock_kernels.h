#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace qconv {

// Remembers the kernel that an op has for `key`, where it has one, for call_stock_kernel(). Called
// once for each op, before the first kernel that calls on is registered.
void keep_stock_kernel(const c10::OperatorHandle& op, c10::DispatchKey key);

// Does with the arguments on the stack what the op did before it was overridden.
// Raises NotImplementedError where it had no kernel.
void call_stock_kernel(
    const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack);

}  // namespace qconv
