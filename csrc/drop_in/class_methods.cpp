#include "drop_in/class_methods.h"

#include <ATen/core/builtin_function.h>
#include <ATen/core/class_type.h>
#include <torch/custom_class.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "drop_in/engine.h"
#include "packed_params/packed_params.h"
#include "packed_params/stock_arguments.h"

namespace qconv {
namespace {

using torch::jit::Stack;

template <int kSpatialDims>
c10::IValue state_of(std::string_view op, ConvPackedParamsBase<kSpatialDims>& params) {
  if (const auto* own = dynamic_cast<PackedParams<kSpatialDims>*>(&params)) {
    return own->stock_state(op, std::nullopt);
  }
  const ConvArguments arguments = stock_arguments(op, params);  // owns the memory of all below
  const CheckedConv checked = check_conv(op, arguments);
  const UnpackedConv unpacked{checked.description, checked.weight.contiguous(), ""};
  return write_state(op, unpacked, std::nullopt);
}

// (self) -> state. PyTorch's schema promises version 2; where that can't hold the values it is
// version 3, of another type, which everything that loads takes as well.
template <int kSpatialDims>
void get_state(const std::string& op, Stack& stack) {
  const auto params = torch::jit::pop(stack).toCustomClass<ConvPackedParamsBase<kSpatialDims>>();
  torch::jit::push(stack, state_of<kSpatialDims>(op, *params));
}

// (self, state) -> None; self is an object with nothing in it yet.
template <int kSpatialDims>
void set_state(const std::string& op, Stack& stack) {
  using Params = PackedParams<kSpatialDims>;
  const c10::IValue state = torch::jit::pop(stack);
  const c10::IValue self = torch::jit::pop(stack);
  typename Params::StockPointer params = Params::from_state(op, state, drop_in_engine());
  self.toObject()->setSlot(0, c10::IValue::make_capsule(std::move(params)));
  torch::jit::push(stack, c10::IValue());
}

// A method of one of PyTorch's classes, and the one that takes its place.
class Method {
 public:
  template <typename Body>
  Method(c10::ClassTypePtr type, const char* name, Body body)
      : type_(std::move(type)),
        stock_(&type_->getMethod(name)),
        own_(
            stock_->qualname(), stock_->getSchema(),
            [body, op = type_->name()->name() + "." + name](Stack& stack) { body(op, stack); }) {}

  void replace() { put(stock_, &own_); }
  void restore() { put(&own_, stock_); }

 private:
  // In place and at once: other threads may look for methods meanwhile, and would not survive that
  // the list of them moves. addMethod() and unsafeRemoveMethod() change that list.
  void put(torch::jit::Function* before, torch::jit::Function* after) {
    for (torch::jit::Function* const& method : type_->methods()) {
      if (method == before) {
        std::atomic_ref(const_cast<torch::jit::Function*&>(method)).store(after);
      }
    }
  }

  const c10::ClassTypePtr type_;
  torch::jit::Function* const stock_;
  torch::jit::BuiltinOpFunction own_;
};

template <int kSpatialDims>
void add_methods(std::vector<Method*>& methods) {
  const c10::ClassTypePtr type =
      c10::getCustomClassType<c10::intrusive_ptr<ConvPackedParamsBase<kSpatialDims>>>();
  methods.push_back(new Method(type, "__getstate__", get_state<kSpatialDims>));
  methods.push_back(new Method(type, "__setstate__", set_state<kSpatialDims>));
}

// Never destroyed: callers keep pointers to methods.
const std::vector<Method*>& methods() {
  static const std::vector<Method*>& all = *[] {
    auto* const made = new std::vector<Method*>();
    add_methods<2>(*made);
    add_methods<3>(*made);
    return made;
  }();
  return all;
}

}  // namespace

void replace_class_methods() {
  for (Method* method : methods()) {
    method->replace();
  }
}

void restore_class_methods() {
  for (Method* method : methods()) {
    method->restore();
  }
}

}  // namespace qconv
