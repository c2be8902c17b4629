#pragma once

#include <ATen/Context.h>
#include <ATen/native/quantized/PackedParams.h>
#include <c10/util/Type.h>

#include <typeinfo>

#include "conv/check.h"
#include "drop_in/run_kernel.h"

namespace qconv {

// Whether PyTorch's conv2d_add would take the object for one of another class and so end the
// process: under its engine onednn it doesn't look who packed it. `params` may be anything.
inline bool crashes_stock_add(const c10::IValue& params) {
  if (at::globalContext().qEngine() != at::QEngine::ONEDNN) {
    return false;
  }
  const auto* stock = params_in<ConvPackedParamsBase<2>>(params);
  // A class whose header needs one that PyTorch doesn't ship.
  return stock != nullptr && c10::demangle(typeid(*stock).name()) != "PackedConvWeightsOnednn<2>";
}

// conv2d_add and conv2d_add_relu, of which the third argument is the packed params.
template <auto kFunction>
void drop_in_add(
    c10::OperatorKernel* object, const c10::OperatorHandle& op, c10::DispatchKeySet keys,
    torch::jit::Stack* stack) {
  const c10::IValue& params = torch::jit::peek(*stack, 2, 5);
  QCONV_CHECK_IMPLEMENTED(
      is_own(params) || !crashes_stock_add(params), op_name(op),
      "packed params must be packed by PyTorch's engine onednn or by this package, got ones of "
      "another engine of PyTorch's; copy.deepcopy() packs them anew while drop-in mode is on");
  DropInRun<kFunction>::call(object, op, keys, stack);
}

}  // namespace qconv
