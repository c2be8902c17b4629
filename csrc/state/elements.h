#pragma once

#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <vector>

namespace qconv {

// Typed access to the parts of a saved state. All raise TypeError or ValueError in the form
// `op: state version V: element I must be X, got Y`.
class StateReader {
 public:
  // version: how messages call the format, such as "2".
  StateReader(
      std::string_view op, std::string_view version, const c10::IValue& state, size_t elements);

  const c10::IValue& operator[](size_t index) const { return elements_[index]; }
  std::string text(size_t index) const;
  at::Tensor tensor(size_t index) const;
  std::optional<at::Tensor> optional_tensor(size_t index) const;
  std::vector<int64_t> integers(size_t index) const;
  std::vector<at::Tensor> tensors(size_t index) const;
  std::vector<std::optional<at::Tensor>> optional_tensors(size_t index) const;

  // The one integer that a tensor holds.
  int64_t integer_in(const at::Tensor& tensor, const char* name) const;
  // A 1-D int16 tensor's values.
  std::vector<int64_t> int16_values(const at::Tensor& tensor, const char* name) const;

  void check_count(const char* name, size_t count, size_t expected) const;
  // "op: state version V", the start of every message.
  const std::string& where() const { return where_; }

 private:
  [[noreturn]] void fail(size_t index, const char* expected, const c10::IValue& got) const;

  std::string where_;
  std::vector<c10::IValue> elements_;
};

}  // namespace qconv
