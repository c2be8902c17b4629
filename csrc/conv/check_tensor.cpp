#include "conv/check_tensor.h"

#include <ATen/quantized/QTensorImpl.h>
#include <ATen/quantized/Quantizer.h>
#include <c10/core/ScalarType.h>
#include <c10/util/safe_numerics.h>

#include "conv/check.h"

namespace qconv {
namespace {

// Bytes of storage that the tensor's sizes, strides and offset reach, or nullopt on overflow.
std::optional<uint64_t> bytes_reached(const at::Tensor& tensor) {
  uint64_t last = static_cast<uint64_t>(tensor.storage_offset());
  const c10::IntArrayRef sizes = tensor.sizes();
  const c10::IntArrayRef strides = tensor.strides();
  for (size_t i = 0; i < sizes.size(); ++i) {
    uint64_t step = 0;
    if (c10::mul_overflows(
            static_cast<uint64_t>(sizes[i] - 1), static_cast<uint64_t>(strides[i]), &step) ||
        c10::add_overflows(last, step, &last)) {
      return std::nullopt;
    }
  }
  uint64_t bytes = 0;
  if (c10::add_overflows(last, uint64_t{1}, &last) ||
      c10::mul_overflows(last, static_cast<uint64_t>(tensor.element_size()), &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace

void check_readable(std::string_view op, ArgumentName name, const at::Tensor& tensor) {
  QCONV_CHECK_TYPE(tensor.defined(), op, name, " must be a tensor, got None");
  QCONV_CHECK_VALUE(
      tensor.device().is_cpu(), op, name, " must be on the CPU, got a tensor on device ",
      tensor.device(),
      tensor.is_meta() ? ", which (like a fake tensor) holds no data"
                       : "; move it there with .cpu()");
  QCONV_CHECK_TYPE(
      tensor.layout() == at::kStrided, op, name, " must be a dense tensor, got layout ",
      tensor.layout());
  QCONV_CHECK_TYPE(
      tensor.has_storage(), op, name,
      " must be an ordinary tensor with memory of its own, got one without storage");
  if (tensor.numel() == 0) {
    return;
  }
  const std::optional<uint64_t> needed = bytes_reached(tensor);
  QCONV_CHECK_VALUE(
      needed.has_value() && *needed <= tensor.storage().nbytes(), op, name, " of size ",
      tensor.sizes(), " and strides ", tensor.strides(), " must lie inside its storage of ",
      tensor.storage().nbytes(), " bytes; its memory was freed, or it comes from a damaged file");
}

std::string dtype_name(const at::Tensor& tensor) {
  return "torch." + std::string(c10::getDtypeNames(tensor.scalar_type()).first);
}

const at::AffineQuantizer& check_quantized(
    std::string_view op, ArgumentName name, const at::Tensor& tensor) {
  const auto quantizer = at::get_qtensorimpl(tensor)->quantizer();
  const auto* affine = dynamic_cast<const at::AffineQuantizer*>(quantizer.get());
  QCONV_CHECK_VALUE(
      !tensor.is_neg(), op, name,
      " must not be a lazily negated view; negate it before quantizing");
  QCONV_CHECK_VALUE(
      affine != nullptr, op, name, " must be quantized, got a tensor of dtype ", dtype_name(tensor),
      " without scale and zero point");
  return *affine;
}

void check_scale(std::string_view op, ArgumentName name, double scale) {
  QCONV_CHECK_VALUE(
      is_normal_scale(scale), op, name,
      " must be a positive, finite and normal float32 number, got ", scale);
}

}  // namespace qconv
