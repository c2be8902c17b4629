#include "engines/onednn/packed_conv.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "engines/exact/exact_conv.h"
#include "engines/onednn/float32_range.h"
#include "engines/onednn/primitive_cache.h"
#include "engines/onednn/weight_order.h"
#include "engines/weight_layout.h"

namespace qconv::onednn {
namespace {

bool is_quantized(c10::ScalarType dtype) {
  return c10::isIntegralType(dtype, /*includeBool=*/false);
}

// An input size about that of a network's middle layers, or what the kernel needs.
int64_t representative_size(const ConvGeometry& geometry, int dim) {
  constexpr int64_t kSize = 28;
  constexpr int64_t kLargestOutput = 1024;
  const int64_t reach = geometry.dilation[dim] * (geometry.kernel[dim] - 1) + 1;
  const int64_t padding = 2 * geometry.padding[dim];
  if (!geometry.transposed) {
    return std::max(kSize, reach);
  }
  const int64_t stride = geometry.stride[dim];
  const int64_t smallest = 1 + std::max<int64_t>(0, (padding - reach) / stride + 1);
  return std::max(smallest, std::min(kSize, 1 + kLargestOutput / stride));
}

// oneDNN chooses the weight's layout for one input size.
RunShape representative_shape(std::string_view op, const ConvGeometry& geometry) {
  RunShape shape;
  shape.batch = 1;
  for (int i = 0; i < geometry.spatial_dims(); ++i) {
    const bool is_1d = geometry.conv_dims == 1 && i == 0;
    shape.input_size.push_back(is_1d ? 1 : representative_size(geometry, i));
  }
  shape.output_size = output_size(op, geometry.spatial_dims(), geometry, shape.input_size);
  return shape;
}

// oneDNN's kernels reckon places in activations with 32 bits.
bool fits_32_bits(const Dims& size, int64_t batch, int64_t channels) {
  int64_t left = std::numeric_limits<int32_t>::max() / batch / channels;
  for (int64_t extent : size) {
    left /= extent;
  }
  return left > 0;
}

// oneDNN's primitives of 3-D transposed convolutions take a time to make that grows with the reach
// of the kernel: 0.1 s at 1,024, 1 s at 16,384, minutes at a million.
bool takes_long_to_prepare(const ConvGeometry& geometry) {
  constexpr int64_t kLongestReach = 4096;
  for (int i = 0; i < geometry.spatial_dims(); ++i) {
    if (geometry.dilation[i] * (geometry.kernel[i] - 1) > kLongestReach) {
      return geometry.transposed && geometry.conv_dims == 3;
    }
  }
  return false;
}

class OnednnPackedConv final : public PackedConv {
 public:
  OnednnPackedConv(
      std::string_view op, std::shared_ptr<const ConvDescription> conv,
      const at::Tensor& grouped_weight, const WeightFacts& facts)
      : conv_(std::move(conv)),
        no_pair_saturates_(facts.no_pair_saturates),
        range_(*conv_, facts),
        constants_{execution_scales(*conv_), conv_->bias ? conv_->bias->data() : nullptr} {
    if (takes_long_to_prepare(conv_->geometry)) {
      exact_ = make_exact(grouped_weight);
      return;
    }
    const RunShape shape = representative_shape(op, conv_->geometry);
    const at::Tensor plain = to_plain_order(grouped_weight, conv_->geometry);
    const auto found = find_implementation(
        *conv_, no_pair_saturates_, shape, primitive_key(shape, {}, c10::ScalarType::Byte), nullptr,
        [&](const dnnl::primitive_desc& candidate) {
          weight_ = PackedWeight::pack(plain, candidate.weights_desc(0), grouped());
          return weight_ != nullptr;
        });
    if (found) {
      implementation_ = found->impl_info_str();
    } else {
      exact_ = make_exact(grouped_weight);
    }
  }

  void run(
      std::string_view op, const RunShape& shape, const Activation& input,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const override {
    Epilogue epilogue;
    epilogue.function =
        post_op == PostOp::kRelu ? PointwiseFunction::kRelu : PointwiseFunction::kNone;
    if (!run_fused(op, shape, input, epilogue, {output, c10::ScalarType::Byte, quantization})) {
      exact().run(shape, input, quantization, post_op, output);
    }
  }

  void run_to_float(const RunShape& shape, const Activation& input, float* output) const override {
    if (!range_.holds(input.scale) ||
        !run_primitive(
            conv_->geometry.kind(), shape, input, {}, {output, c10::ScalarType::Float, {}})) {
      exact().run_to_float(shape, input, output);
    }
  }

  bool run_fused(
      std::string_view op, const RunShape& shape, const Activation& input, const Epilogue& epilogue,
      const Output& output) const override {
    const bool quantized = is_quantized(output.dtype);
    if (quantized) {
      range_.check_scales(op, input.scale, output.quantization.scale);
    }
    const bool in_range = quantized ? range_.holds(input.scale, output.quantization.scale)
                                    : range_.holds(input.scale);
    return in_range && run_primitive(op, shape, input, epilogue, output);
  }

  at::Tensor unpack() const override {
    if (weight_) {
      return from_grouped_channels_last(
          from_plain_order(weight_->unpack(), conv_->geometry), conv_->geometry);
    }
    const at::Tensor grouped = empty_grouped_channels_last(conv_->geometry);
    exact_->unpack(grouped.mutable_data_ptr<int8_t>());
    return from_grouped_channels_last(grouped, conv_->geometry);
  }

  int64_t nbytes() const override {
    int64_t bytes = static_cast<int64_t>(constants_.weight_scales.size() * sizeof(float));
    bytes += weight_ ? weight_->nbytes() : exact_->nbytes();
    for (const auto& copy : copies()) {
      bytes += copy->nbytes();
    }
    return bytes;
  }

  std::string kernel_name() const override { return weight_ ? implementation_ : "exact"; }

 private:
  // Returns false, having done nothing, where oneDNN has no implementation that is right.
  bool run_primitive(
      std::string_view op, const RunShape& shape, const Activation& input, const Epilogue& epilogue,
      const Output& output) const {
    const auto& addend = epilogue.addend;
    // oneDNN adds what lies in the output's memory, where the addend's type must fit.
    if (!weight_ || !fits_32_bits(shape.input_size, shape.batch, conv_->geometry.in_channels) ||
        !fits_32_bits(shape.output_size, shape.batch, conv_->geometry.out_channels) ||
        (addend && addend->dtype != output.dtype &&
         !(is_quantized(addend->dtype) && is_quantized(output.dtype)))) {
      return false;
    }
    return with_clear_errors(op, [&] {
      const auto primitive = find_primitive(shape, epilogue, output.dtype);
      if (!primitive) {
        return false;
      }
      if (addend && addend->data != output.data) {
        copy_addend(shape, *addend, output);
      }
      primitive->run(input, output.quantization, output.data);
      return true;
    });
  }

  void copy_addend(const RunShape& shape, const Addend& addend, const Output& output) const {
    size_t bytes = shape.batch * conv_->geometry.out_channels * c10::elementSize(output.dtype);
    for (int64_t extent : shape.output_size) {
      bytes *= extent;
    }
    std::memcpy(output.data, addend.data, bytes);
  }

  std::shared_ptr<const CachedPrimitive> find_primitive(
      const RunShape& shape, const Epilogue& epilogue, c10::ScalarType output) const {
    const PrimitiveKey key = primitive_key(shape, epilogue, output);
    std::shared_ptr<const CachedPrimitive> primitive;
    if (!cache_.find(key, primitive)) {
      primitive = make_primitive(shape, key);
      cache_.insert(key, primitive);
    }
    return primitive;
  }

  // Null where oneDNN has no implementation that is right.
  std::shared_ptr<const CachedPrimitive> make_primitive(
      const RunShape& shape, const PrimitiveKey& key) const {
    std::shared_ptr<const PackedWeight> weight = weight_;
    auto found = find_implementation(
        *conv_, no_pair_saturates_, shape, key, &weight->layout(),
        [](const dnnl::primitive_desc&) { return true; });
    if (!found) {
      found = find_implementation(
          *conv_, no_pair_saturates_, shape, key, nullptr,
          [&](const dnnl::primitive_desc& candidate) {
            weight = weight_in(candidate.weights_desc(0));
            return weight != nullptr;
          });
    }
    if (!found) {
      return nullptr;
    }
    return std::make_shared<const CachedPrimitive>(key, *found, std::move(weight), constants_);
  }

  // Null where oneDNN can't pack into this layout.
  std::shared_ptr<const PackedWeight> weight_in(const dnnl::memory::desc& layout) const {
    for (const auto& copy : copies()) {
      if (copy->layout() == layout) {
        return copy;
      }
    }
    return PackedWeight::pack(weight_->unpack(), layout, grouped());
  }

  // The weights in other layouts than weight_'s that cached primitives hold.
  std::vector<std::shared_ptr<const PackedWeight>> copies() const {
    std::vector<std::shared_ptr<const PackedWeight>> copies;
    for (const PrimitiveCache::Entry& entry : cache_.entries()) {
      if (entry.primitive && entry.primitive->weight() != weight_ &&
          std::find(copies.begin(), copies.end(), entry.primitive->weight()) == copies.end()) {
        copies.push_back(entry.primitive->weight());
      }
    }
    return copies;
  }

  bool grouped() const { return conv_->geometry.groups > 1; }

  std::unique_ptr<const ExactConv> make_exact(const at::Tensor& grouped_weight) const {
    return std::make_unique<ExactConv>(conv_, grouped_weight.const_data_ptr<int8_t>());
  }

  // Made at the first need where oneDNN has an implementation, but not for what is asked.
  const ExactConv& exact() const {
    std::call_once(exact_once_, [&] {
      if (!exact_) {
        exact_ = make_exact(from_plain_order(weight_->unpack(), conv_->geometry));
      }
    });
    return *exact_;
  }

  const std::shared_ptr<const ConvDescription> conv_;
  const bool no_pair_saturates_;
  const Float32Range range_;
  const Constants constants_;
  std::shared_ptr<const PackedWeight> weight_;  // null: oneDNN has nothing that is right
  std::string implementation_;
  mutable PrimitiveCache cache_;
  mutable std::once_flag exact_once_;
  mutable std::unique_ptr<const ExactConv> exact_;
};

}  // namespace

std::unique_ptr<const PackedConv> pack_conv(
    std::string_view op, std::shared_ptr<const ConvDescription> conv,
    const at::Tensor& grouped_weight, const WeightFacts& facts) {
  return std::make_unique<OnednnPackedConv>(op, std::move(conv), grouped_weight, facts);
}

}  // namespace qconv::onednn
