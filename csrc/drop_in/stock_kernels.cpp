#include "drop_in/stock_kernels.h"

#include <unordered_map>

namespace qconv {
namespace {

// Private members of torch's classes, which have no other way to a kernel's object. The language
// allows an explicit instantiation to name them; where another torch has others, this doesn't
// compile.
template <typename Name, typename Name::Type kMember>
struct Expose {
  friend typename Name::Type member(Name) { return kMember; }
};

struct KernelOfSafeKernel {
  using Type = c10::KernelFunction c10::SafeKernelFunction::*;
  friend Type member(KernelOfSafeKernel);
};
template struct Expose<KernelOfSafeKernel, &c10::SafeKernelFunction::kernel_>;

struct BoxedOfKernel {
  using Type = c10::BoxedKernel c10::KernelFunction::*;
  friend Type member(BoxedOfKernel);
};
template struct Expose<BoxedOfKernel, &c10::KernelFunction::boxed_kernel_func_>;

struct CodeOfBoxed {
  using Type = KernelCode* c10::BoxedKernel::*;
  friend Type member(CodeOfBoxed);
};
template struct Expose<CodeOfBoxed, &c10::BoxedKernel::boxed_kernel_func_>;

using Kernels = std::unordered_map<c10::OperatorName, c10::BoxedKernel>;

// Only read once kernels are registered, and so without a lock. Never destroyed: threads may still
// run when the process ends.
Kernels& kernels() {
  static Kernels& kept = *new Kernels();
  return kept;
}

}  // namespace

void keep_stock_kernel(const c10::OperatorHandle& op, c10::DispatchKey key) {
  // A kernel for composite keys serves every backend.
  const c10::DispatchKey backend = c10::isAliasDispatchKey(key) ? c10::DispatchKey::CPU : key;
  const c10::SafeKernelFunction safe = op.getComputedKernelForDispatchKey(backend);
  const c10::KernelFunction& kernel = safe.*member(KernelOfSafeKernel());
  kernels().emplace(op.operator_name(), kernel.*member(BoxedOfKernel()));
}

c10::KernelFunction with_code(const c10::OperatorHandle& op, KernelCode* code) {
  c10::BoxedKernel kernel = kernels().at(op.operator_name());
  kernel.*member(CodeOfBoxed()) = code;
  return c10::KernelFunction::makeFromBoxedKernel(std::move(kernel));
}

void call_stock_kernel(
    const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  kernels().at(op.operator_name()).callBoxed(op, keys, stack);
}

}  // namespace qconv
