#pragma once

#include <string_view>

#include "drop_in/engine.h"
#include "ops/boxed.h"
#include "ops/ops.h"

namespace qconv {

// PyTorch's prepack ops: the same checks and packing as in this package's, the object in the guise
// of PyTorch's class, which is what their schemas return.
template <typename Ops>
struct DropInPrepack {
  using StockPointer = typename Ops::Params::StockPointer;

  static StockPointer forward(
      std::string_view, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
      const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
    return Ops::prepack(weight, bias, stride, padding, dilation, groups, drop_in_engine());
  }

  static StockPointer transposed(
      std::string_view, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
      const Dims& stride, const Dims& padding, const Dims& output_padding, const Dims& dilation,
      int64_t groups) {
    return Ops::prepack_transposed(
        weight, bias, stride, padding, output_padding, dilation, groups, drop_in_engine());
  }
};

template <auto kFunction>
void drop_in_prepack(
    c10::OperatorKernel*, const c10::OperatorHandle& op, c10::DispatchKeySet,
    torch::jit::Stack* stack) {
  Boxed<kFunction>::call(op, stack);
}

}  // namespace qconv
