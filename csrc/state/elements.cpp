#include "state/elements.h"

#include <ATen/core/List.h>

#include "conv/check.h"
#include "conv/check_tensor.h"

namespace qconv {
namespace {

std::vector<c10::IValue> tuple_elements(const std::string& where, const c10::IValue& state) {
  QCONV_CHECK_TYPE(state.isTuple(), where, "state must be a tuple, got ", state.tagKind());
  const auto& elements = state.toTupleRef().elements();
  return std::vector<c10::IValue>(elements.begin(), elements.end());
}

}  // namespace

StateReader::StateReader(
    std::string_view op, std::string_view version, const c10::IValue& state, size_t elements)
    : where_(c10::str(op, ": state version ", version)), elements_(tuple_elements(where_, state)) {
  check_count("the tuple", elements_.size(), elements);
}

void StateReader::check_count(const char* name, size_t count, size_t expected) const {
  QCONV_CHECK_VALUE(
      count == expected, where_, name, " must have ", expected, " elements, got ", count);
}

void StateReader::fail(size_t index, const char* expected, const c10::IValue& got) const {
  TORCH_CHECK_TYPE(
      false, where_, ": element ", index, " must be ", expected, ", got ", got.tagKind());
}

std::string StateReader::text(size_t index) const {
  if (!elements_[index].isString()) {
    fail(index, "a string", elements_[index]);
  }
  return elements_[index].toStringRef();
}

at::Tensor StateReader::tensor(size_t index) const {
  if (!elements_[index].isTensor()) {
    fail(index, "a tensor", elements_[index]);
  }
  return elements_[index].toTensor();
}

std::optional<at::Tensor> StateReader::optional_tensor(size_t index) const {
  if (elements_[index].isNone()) {
    return std::nullopt;
  }
  if (!elements_[index].isTensor()) {
    fail(index, "a tensor or None", elements_[index]);
  }
  return elements_[index].toTensor();
}

std::vector<int64_t> StateReader::integers(size_t index) const {
  if (!elements_[index].isList()) {
    fail(index, "a list of integers", elements_[index]);
  }
  std::vector<int64_t> result;
  for (const c10::IValue& element : elements_[index].toListRef()) {
    if (!element.isInt()) {
      fail(index, "a list of integers, with one entry", element);
    }
    result.push_back(element.toInt());
  }
  return result;
}

std::vector<std::optional<at::Tensor>> StateReader::optional_tensors(size_t index) const {
  if (!elements_[index].isList()) {
    fail(index, "a list of tensors", elements_[index]);
  }
  std::vector<std::optional<at::Tensor>> result;
  for (const c10::IValue& element : elements_[index].toListRef()) {
    if (!element.isTensor() && !element.isNone()) {
      fail(index, "a list of tensors or None", element);
    }
    result.push_back(
        element.isTensor() ? std::optional<at::Tensor>(element.toTensor()) : std::nullopt);
  }
  return result;
}

std::vector<at::Tensor> StateReader::tensors(size_t index) const {
  std::vector<at::Tensor> result;
  for (const std::optional<at::Tensor>& tensor : optional_tensors(index)) {
    if (!tensor) {
      fail(index, "a list of tensors", c10::IValue());
    }
    result.push_back(*tensor);
  }
  return result;
}

int64_t StateReader::integer_in(const at::Tensor& tensor, const char* name) const {
  check_readable(where_, name, tensor);
  QCONV_CHECK_TYPE(
      at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false) &&
          tensor.scalar_type() != at::kUInt64,
      where_, name, " must be an integer tensor, got ", dtype_name(tensor));
  QCONV_CHECK_VALUE(
      tensor.numel() == 1, where_, name, " must have one element, got size ", tensor.sizes());
  return tensor.item().toLong();
}

std::vector<int64_t> StateReader::int16_values(const at::Tensor& tensor, const char* name) const {
  check_readable(where_, name, tensor);
  QCONV_CHECK_TYPE(
      tensor.scalar_type() == at::kShort, where_, name, " must have dtype torch.int16, got ",
      dtype_name(tensor));
  QCONV_CHECK_VALUE(
      tensor.dim() == 1, where_, name, " must have one dimension, got size ", tensor.sizes());
  const at::Tensor contiguous = tensor.resolve_neg().contiguous();
  const auto* values = contiguous.const_data_ptr<int16_t>();
  return {values, values + contiguous.numel()};
}

}  // namespace qconv
