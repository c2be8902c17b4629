#include "engines/onednn/packed_weight.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <functional>
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

PackedWeight::PackedWeight(const dnnl::memory::desc& layout)
    : layout_(layout),
      buffer_(
          at::empty(
              {static_cast<int64_t>(layout.get_size())}, at::TensorOptions().dtype(at::kByte))) {}

std::shared_ptr<const PackedWeight> PackedWeight::pack(
    const at::Tensor& plain, const dnnl::memory::desc& layout, bool grouped) {
  dnnl_primitive_desc_t created = nullptr;
  const dnnl::memory::desc source_layout = plain_layout(layout.get_dims());
  const dnnl_status_t status = dnnl_reorder_primitive_desc_create(
      &created, source_layout.get(), cpu().get(), layout.get(), cpu().get(), nullptr);
  if (status == dnnl_unimplemented || status == dnnl_invalid_arguments) {
    return nullptr;
  }
  check(status, "could not describe the packing of a weight");
  const dnnl::reorder reorder{dnnl::reorder::primitive_desc(created)};
  const std::shared_ptr<const PackedWeight> result(new PackedWeight(layout));
  dnnl::memory source(source_layout, cpu(), plain.data_ptr());
  dnnl::memory destination = result->memory();
  reorder.execute(stream(), source, destination);
  return result->compensation_is_right(plain, grouped) ? result : nullptr;
}

bool PackedWeight::compensation_is_right(const at::Tensor& plain, bool grouped) const {
  const dnnl::memory::dims dims = layout_.get_dims();
  const dnnl::memory::dims padded = layout_.get_padded_dims();
  const int64_t elements =
      std::accumulate(padded.begin(), padded.end(), int64_t{1}, std::multiplies<>());
  if (buffer_.numel() == elements) {
    return true;
  }
  const int64_t groups = grouped ? dims[0] : 1;
  const int64_t channels = dims[grouped];
  const int64_t padded_channels = padded[grouped];
  const int64_t values = (grouped ? padded[0] : 1) * padded_channels;
  if (buffer_.numel() < elements + values * static_cast<int64_t>(sizeof(int32_t))) {
    return false;
  }
  const auto* weight = plain.const_data_ptr<int8_t>();
  const int64_t length = plain.numel() / (groups * channels);
  bool sums = true;
  bool negated_sums = true;
  for (int64_t channel = 0; channel < groups * channels; ++channel) {
    const int32_t sum = std::accumulate(weight, weight + length, 0);
    weight += length;
    const int64_t place = channel / channels * padded_channels + channel % channels;
    int32_t compensation = 0;
    std::memcpy(
        &compensation,
        static_cast<const char*>(buffer_.data_ptr()) + elements + place * sizeof(int32_t),
        sizeof(int32_t));
    sums = sums && compensation == sum;
    negated_sums = negated_sums && compensation == -sum;
  }
  return sums || negated_sums;
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
