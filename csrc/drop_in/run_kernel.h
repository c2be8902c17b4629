#pragma once

#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "drop_in/stock_kernels.h"
#include "ops/boxed.h"
#include "packed_params/packed_params.h"

namespace qconv {

// Whether a value is an object of this package, in either of its two types.
inline bool is_own(const c10::IValue& value) {
  return params_in<PackedParams<2>>(value) != nullptr ||
      params_in<PackedParams<3>>(value) != nullptr;
}

// An op that runs or unpacks packed params: with kFunction, as this package's op of that name does,
// where they are this package's; as it did before where they are not.
template <auto kFunction>
struct DropInRun;

template <
    typename Result, typename... Arguments, Result (*kFunction)(std::string_view, Arguments...)>
struct DropInRun<kFunction> {
  static void call(
      c10::OperatorKernel*, const c10::OperatorHandle& op, c10::DispatchKeySet keys,
      torch::jit::Stack* stack) {
    if (is_own(torch::jit::peek(*stack, kParams, sizeof...(Arguments)))) {
      Boxed<kFunction>::call(op, stack);
    } else {
      call_stock_kernel(op, keys, stack);
    }
  }

 private:
  template <typename Argument>
  struct IsPointer : std::false_type {};
  template <typename Params>
  struct IsPointer<c10::intrusive_ptr<Params>> : std::true_type {};

  // Which of the arguments the packed params are.
  static constexpr size_t kParams = [] {
    constexpr bool kIsParams[] = {IsPointer<std::decay_t<Arguments>>::value...};
    size_t index = 0;
    while (!kIsParams[index]) {
      ++index;
    }
    return index;
  }();
};

// Unpacks an object of any kind of convolution with kDims dimensions as stored: PyTorch's modules
// of transposed convolutions call conv2d_unpack.
template <int kDims>
std::tuple<at::Tensor, std::optional<at::Tensor>> unpack_any(
    std::string_view, const typename PackedParams<(kDims == 3) ? 3 : 2>::Pointer& params) {
  auto [weight, bias] = params->unpack();
  return {kDims == 1 ? weight.squeeze(2) : weight, bias};
}

// An op whose only argument is packed params, and that PyTorch's kernel does right for every object
// that has the type of its own class: objects of this package's class are handed on under that.
inline void call_in_stock_guise(
    c10::OperatorKernel*, const c10::OperatorHandle& op, c10::DispatchKeySet keys,
    torch::jit::Stack* stack) {
  c10::IValue& value = stack->back();
  const auto put_on_guise = [&value]<int kDims>(PackedParams<kDims>* params) {
    if (params != nullptr) {
      value = PackedParams<kDims>::StockPointer::reclaim_copy(params);
    }
  };
  put_on_guise(params_in<PackedParams<2>>(value));
  put_on_guise(params_in<PackedParams<3>>(value));
  call_stock_kernel(op, keys, stack);
}

}  // namespace qconv
