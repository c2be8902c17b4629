#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "engines/onednn/library.h"

namespace qconv::onednn {

// The weight in a layout that oneDNN chose.
class PackedWeight {
 public:
  // Null where oneDNN can't pack into this layout, or does it wrongly.
  // plain: see weight_order.h; its memory isn't kept. grouped: it has a dimension for groups.
  static std::shared_ptr<const PackedWeight> pack(
      const at::Tensor& plain, const dnnl::memory::desc& layout, bool grouped);

  const dnnl::memory::desc& layout() const { return layout_; }
  // For an execution, which only reads it.
  dnnl::memory memory() const { return {layout_, cpu(), buffer_.data_ptr()}; }
  // Back to the plain order.
  at::Tensor unpack() const;
  int64_t nbytes() const { return buffer_.numel(); }

 private:
  explicit PackedWeight(const dnnl::memory::desc& layout);
  // oneDNN keeps the sum of each output channel's weights behind them, for the input's zero point.
  bool compensation_is_right(const at::Tensor& plain, bool grouped) const;

  const dnnl::memory::desc layout_;
  const at::Tensor buffer_;
};

}  // namespace qconv::onednn
