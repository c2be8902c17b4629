#pragma once

#include <ATen/core/boxing/BoxedKernel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace qconv {

// What the dispatcher calls for an op; `object` is whatever the kernel was made with.
using KernelCode = c10::BoxedKernel::InternalBoxedKernelFunction;

// Remembers the kernel that an op has for `key`, for the functions below. Called once for each op,
// before anything is registered for it.
void keep_stock_kernel(const c10::OperatorHandle& op, c10::DispatchKey key);

// The op's kernel with other code.
//
// Other threads may call the op while a kernel is registered or goes. The dispatcher has no lock
// for that: it replaces the pointers in a kernel one after the other, first the object, then the
// code, and a caller may get the new object with the old code, which dies of it. Here both kernels
// have the same object, and only the code changes.
c10::KernelFunction with_code(const c10::OperatorHandle& op, KernelCode* code);

// Does with the arguments on the stack what the op did before it was overridden.
void call_stock_kernel(
    const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack);

}  // namespace qconv
