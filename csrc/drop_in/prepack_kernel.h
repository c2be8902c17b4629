#pragma once

#include <string_view>

#include "drop_in/engine.h"
#include "ops/boxed.h"
#include "ops/ops.h"

namespace qconv {

// PyTorch's own callers (torch.ao.nn.quantized.functional.conv1d and others) give 1-D ops each
// number twice; the ops take the second one.
template <int kDims>
Dims without_repetition(const Dims& values) {
  const bool is_repeated = kDims == 1 && values.size() == 2 && values[0] == values[1];
  return is_repeated ? Dims{values[1]} : values;
}

// PyTorch's prepack ops: the same checks and packing as in this package's, the object in the guise
// of PyTorch's class, which is what their schemas return.
template <int kDims, bool kTransposed>
struct DropInPrepack {
  using Ops = ConvOps<kDims, kTransposed>;
  using StockPointer = typename Ops::Params::StockPointer;

  static StockPointer forward(
      std::string_view, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
      const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
    return Ops::prepack(
        weight, bias, without_repetition<kDims>(stride), without_repetition<kDims>(padding),
        without_repetition<kDims>(dilation), groups, drop_in_engine());
  }

  static StockPointer transposed(
      std::string_view, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
      const Dims& stride, const Dims& padding, const Dims& output_padding, const Dims& dilation,
      int64_t groups) {
    return Ops::prepack_transposed(
        weight, bias, without_repetition<kDims>(stride), without_repetition<kDims>(padding),
        without_repetition<kDims>(output_padding), without_repetition<kDims>(dilation), groups,
        drop_in_engine());
  }
};

template <auto kFunction>
void drop_in_prepack(
    c10::OperatorKernel*, const c10::OperatorHandle& op, c10::DispatchKeySet,
    torch::jit::Stack* stack) {
  Boxed<kFunction>::call(op, stack);
}

}  // namespace qconv
