#include "engines/onednn/packed_weight.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <numeric>
#include <vector>

namespace qconv::onednn {
namespace {

dnnl::memory::desc plain_layout(const dnnl::memory::dims& dims) {
  dnnl::memory::dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i > 0; --i) {
    strides[i - 1] = strides[i] * dims[i];
  }
  return {dims, dnnl::memory::data_type::s8, strides};
}

// The place of an element is a sum with one term per dimension; returns the terms of `dim`, one for
// each of its indices. oneDNN splits dimensions into nested inner blocks, outermost first.
std::vector<int64_t> place_terms(const dnnl::memory::desc& layout, int dim) {
  const dnnl::memory::dims blocks = layout.get_inner_blks();
  const dnnl::memory::dims dims_of_blocks = layout.get_inner_idxs();
  const int64_t stride = layout.get_strides()[dim];
  std::vector<int64_t> terms(layout.get_dims()[dim]);
  for (size_t index = 0; index < terms.size(); ++index) {
    auto rest = static_cast<int64_t>(index);
    int64_t inner_stride = 1;
    for (size_t i = blocks.size(); i-- > 0;) {
      if (dims_of_blocks[i] == dim) {
        terms[index] += rest % blocks[i] * inner_stride;
        rest /= blocks[i];
      }
      inner_stride *= blocks[i];
    }
    terms[index] += rest * stride;
  }
  return terms;
}

}  // namespace

PackedWeight::PackedWeight(const at::Tensor& plain, const dnnl::memory::desc& layout)
    : layout_(layout),
      buffer_(at::empty(
          {static_cast<int64_t>(layout.get_size())}, at::TensorOptions().dtype(at::kByte))) {
  dnnl::memory source(plain_layout(layout.get_dims()), cpu(), plain.data_ptr());
  dnnl::memory destination = memory();
  dnnl::reorder(source, destination).execute(stream(), source, destination);
}

at::Tensor PackedWeight::unpack() const {
  const dnnl::memory::dims dims = layout_.get_dims();
  const at::Tensor plain = at::empty(dims, at::TensorOptions().dtype(at::kChar));
  std::vector<std::vector<int64_t>> terms;
  for (int dim = 0; dim < layout_.get_ndims(); ++dim) {
    terms.push_back(place_terms(layout_, dim));
  }
  const auto* packed =
      static_cast<const int8_t*>(buffer_.data_ptr()) + layout_.get_submemory_offset();
  auto* const unpacked = plain.mutable_data_ptr<int8_t>();
  const int64_t width = dims.back();
  at::parallel_for(0, plain.numel() / width, 4096 / width + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t place = 0;
      int64_t rest = row;
      for (size_t dim = dims.size() - 1; dim-- > 0;) {
        place += terms[dim][rest % dims[dim]];
        rest /= dims[dim];
      }
      for (int64_t i = 0; i < width; ++i) {
        unpacked[row * width + i] = packed[place + terms.back()[i]];
      }
    }
  });
  return plain;
}

}  // namespace qconv::onednn
