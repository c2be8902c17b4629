#include "packed_params/torch_function.h"

#include <ATen/core/class_type.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <torch/custom_class.h>

#include "packed_params/packed_params.h"

namespace qconv {
namespace {

// An object of Python's as a constant. torch has such a class, but in the library that links
// Python.
class PythonConstant final : public c10::ivalue::PyObjectHolder {
 public:
  explicit PythonConstant(PyObject* object) : object_(object) {}

  PyObject* getPyObject() override { return object_; }
  c10::InferredType tryToInferType() override {
    return c10::InferredType(std::string("a Python object"));
  }
  c10::IValue toIValue(const c10::TypePtr&, std::optional<int32_t>) override { return {}; }
  std::string toStr() override { return "__torch_function__"; }
  std::vector<at::Tensor> extractTensors() override { return {}; }

 private:
  PyObject* const object_;
};

template <int kSpatialDims>
void set_torch_function_of(PyObject* object) {
  const c10::ClassTypePtr type =
      c10::getCustomClassType<c10::intrusive_ptr<PackedParams<kSpatialDims>>>();
  const std::string name = "__torch_function__";
  if (!type->hasConstant(name)) {
    type->addConstant(
        name,
        c10::IValue(
            c10::intrusive_ptr<c10::ivalue::PyObjectHolder>(
                c10::make_intrusive<PythonConstant>(object))));
  }
}

}  // namespace

void set_torch_function(void* python_object) {
  auto* const object = static_cast<PyObject*>(python_object);
  set_torch_function_of<2>(object);
  set_torch_function_of<3>(object);
}

}  // namespace qconv

// See torch_qconv_prepack/_torch_function.py.
extern "C" __attribute__((visibility("default"))) void torch_qconv_prepack_set_torch_function(
    void* python_object) {
  qconv::set_torch_function(python_object);
}
