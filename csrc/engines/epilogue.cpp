#include "engines/epilogue.h"

#include <c10/util/Exception.h>

#include "engines/native/native_arguments.h"
#include "native/run/run.h"

namespace qconv {
namespace {

native::ElementType to_native(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Byte:
      return native::ElementType::kUint8;
    case c10::ScalarType::Char:
      return native::ElementType::kInt8;
    case c10::ScalarType::Float:
      return native::ElementType::kFloat32;
    case c10::ScalarType::BFloat16:
      return native::ElementType::kBfloat16;
    default:
      TORCH_INTERNAL_ASSERT(false, "an epilogue of dtype ", dtype);
  }
}

}  // namespace

native::Epilogue to_native(const Epilogue& epilogue) {
  native::Epilogue result;
  result.function = epilogue.function;
  result.lower = epilogue.lower;
  result.upper = epilogue.upper;
  result.slope = epilogue.slope;
  if (epilogue.addend) {
    const Addend& addend = *epilogue.addend;
    result.addend = {
        addend.data, to_native(addend.dtype), addend.quantization.scale,
        addend.quantization.zero_point};
  }
  return result;
}

native::RunOutput to_native(const Output& output) {
  return {
      output.data, to_native(output.dtype), output.quantization.scale,
      output.quantization.zero_point};
}

void apply_epilogue(
    const float* real, int64_t count, const Epilogue& epilogue, const Output& output) {
  native::apply_epilogue(real, count, to_native(epilogue), to_native(output), torch_parallel_for());
}

}  // namespace qconv
