#pragma once

#include <ATen/core/Tensor.h>

#include "engines/onednn/library.h"

namespace qconv::onednn {

// The weight in a layout that oneDNN chose.
class PackedWeight {
 public:
  // plain: int8, contiguous, the sizes of weight_dims(). Its memory isn't kept. Raises dnnl::error
  // where oneDNN can't pack into this layout.
  PackedWeight(const at::Tensor& plain, const dnnl::memory::desc& layout);

  const dnnl::memory::desc& layout() const { return layout_; }
  // For an execution, which only reads it.
  dnnl::memory memory() const { return {layout_, cpu(), buffer_.data_ptr()}; }
  // Back to the plain order.
  at::Tensor unpack() const;
  int64_t nbytes() const { return buffer_.numel(); }

 private:
  const dnnl::memory::desc layout_;
  const at::Tensor buffer_;
};

}  // namespace qconv::onednn
