#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "conv/check.h"
#include "conv/geometry.h"
#include "packed_params/packed_params.h"

namespace qconv {

// What messages call an op: its name without the namespace.
inline std::string_view op_name(const c10::OperatorHandle& handle) {
  const std::string_view qualified_name = handle.operator_name().name;
  return qualified_name.substr(qualified_name.find("::") + 2);
}

// The object of class Params that a value holds, whichever of its two types an object of this
// library wears (see PackedParams); nullptr where it holds something else.
template <typename Params>
Params* params_in(const c10::IValue& value) {
  if (!value.isObject()) {
    return nullptr;
  }
  const c10::ivalue::Object& object = value.toObjectRef();
  const bool is_custom_class = object.slots().size() == 1 && object.getSlot(0).isCapsule();
  return is_custom_class ? dynamic_cast<Params*>(object.getSlot(0).toCapsule().get()) : nullptr;
}

// The packed params that an op was given. PyTorch lets Python pass any object and fails on a wrong
// one in its own words. Raises TypeError.
template <typename Params>
c10::intrusive_ptr<Params> packed_params_argument(std::string_view op, const c10::IValue& value) {
  if (Params* const params = params_in<Params>(value)) {
    return c10::intrusive_ptr<Params>::reclaim_copy(params);
  }
  QCONV_CHECK_TYPE(value.isObject(), op, "packed params must be an object, got ", value.tagKind());
  const std::string name = value.toObjectRef().name();
  const std::string type = name.substr(name.rfind("classes.") + 8);
  QCONV_CHECK_TYPE(
      false, op, "packed params must be a torch_qconv_prepack.Conv", Params::kDims,
      "dPackedParams, got ", type,
      type.starts_with("quantized.Conv")
          ? "; torch_qconv_prepack.from_quantized() packs PyTorch's own objects anew"
          : "");
}

template <typename Argument>
Argument argument(std::string_view, const c10::IValue& value, std::type_identity<Argument>) {
  return value.to<Argument>();
}

// As many as a convolution has dimensions, and so without memory of their own.
inline Dims argument(std::string_view, const c10::IValue& value, std::type_identity<Dims>) {
  Dims values;
  for (const c10::IValue& element : value.toListRef()) {
    values.push_back(element.toInt());
  }
  return values;
}

template <typename Params>
c10::intrusive_ptr<Params> argument(
    std::string_view op, const c10::IValue& value, std::type_identity<c10::intrusive_ptr<Params>>) {
  return packed_params_argument<Params>(op, value);
}

template <typename Result>
void push_result(torch::jit::Stack& stack, Result result) {
  torch::jit::push(stack, std::move(result));
}

template <typename First, typename Second>
void push_result(torch::jit::Stack& stack, std::tuple<First, Second> result) {
  torch::jit::push(stack, std::get<0>(std::move(result)), std::get<1>(std::move(result)));
}

// kFunction as a kernel that takes its arguments from the interpreter's stack. Its first parameter
// is the op's name, which the others follow.
template <auto kFunction>
struct Boxed;

template <
    typename Result, typename... Arguments, Result (*kFunction)(std::string_view, Arguments...)>
struct Boxed<kFunction> {
  static void call(const c10::OperatorHandle& handle, torch::jit::Stack* stack) {
    call(handle, stack, std::index_sequence_for<Arguments...>());
  }

 private:
  template <size_t... kIndex>
  static void call(
      const c10::OperatorHandle& handle, torch::jit::Stack* stack, std::index_sequence<kIndex...>) {
    constexpr size_t kCount = sizeof...(Arguments);
    const std::string_view op = op_name(handle);
    Result result = kFunction(
        op,
        argument(
            op, torch::jit::peek(*stack, kIndex, kCount),
            std::type_identity<std::decay_t<Arguments>>())...);
    torch::jit::drop(*stack, kCount);
    push_result(*stack, std::move(result));
  }
};

}  // namespace qconv
