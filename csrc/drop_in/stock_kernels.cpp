#include "drop_in/stock_kernels.h"

#include <unordered_map>

#include "conv/check.h"

namespace qconv {
namespace {

using Kernels = std::unordered_map<c10::OperatorName, c10::SafeKernelFunction>;

// Only read once kernels call on, and so without a lock. Never destroyed: threads may still run
// when the process ends.
Kernels& kernels() {
  static Kernels& kept = *new Kernels();
  return kept;
}

}  // namespace

void keep_stock_kernel(const c10::OperatorHandle& op, c10::DispatchKey key) {
  // A kernel for composite keys serves every backend.
  const c10::DispatchKey backend = c10::isAliasDispatchKey(key) ? c10::DispatchKey::CPU : key;
  if (op.hasKernelForDispatchKey(key)) {
    kernels().emplace(op.operator_name(), op.getComputedKernelForDispatchKey(backend));
  }
}

void call_stock_kernel(
    const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto found = kernels().find(op.operator_name());
  QCONV_CHECK_IMPLEMENTED(
      found != kernels().end(), op.operator_name().name,
      "PyTorch has this op for no object of its own; pack with torch_qconv_prepack");
  found->second.callBoxed(op, keys, stack);
}

}  // namespace qconv
