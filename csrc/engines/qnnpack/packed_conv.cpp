#include "engines/qnnpack/packed_conv.h"

#include <mutex>

#include "engines/exact/exact_conv.h"
#include "engines/qnnpack/exact_requantization.h"
#include "engines/qnnpack/kernels.h"
#include "engines/qnnpack/qnnpack_api.h"
#include "engines/qnnpack/requantization.h"
#include "engines/qnnpack/scaled_weights.h"
#include "engines/weight_layout.h"

namespace qconv {
namespace {

class QnnpackPackedConv : public PackedConv {
 public:
  QnnpackPackedConv(std::shared_ptr<const ConvDescription> conv, const WeightFacts& facts)
      : conv_(std::move(conv)), largest_absolute_sum_(facts.largest_absolute_sum) {}

  void run(
      std::string_view op, const RunShape& shape, const Activation& input,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const override {
    const QnnpackRequantization requantization =
        qnnpack_requantization(op, *conv_, input.scale, quantization.scale, largest_absolute_sum_);
    if (requantization.is_right) {
      run_as_qnnpack(shape, input, requantization, quantization, post_op, output);
    } else {
      exact().run(shape, input, quantization, post_op, output);
    }
  }

  // QNNPACK's convolutions have no float output.
  void run_to_float(const RunShape& shape, const Activation& input, float* output) const override {
    exact().run_to_float(shape, input, output);
  }

  at::Tensor unpack() const override {
    const at::Tensor grouped = empty_grouped_channels_last(conv_->geometry);
    unpack_into(grouped.mutable_data_ptr<int8_t>());
    return from_grouped_channels_last(grouped, conv_->geometry);
  }

 protected:
  virtual void run_as_qnnpack(
      const RunShape& shape, const Activation& input, const QnnpackRequantization& requantization,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const = 0;
  virtual const ExactConv& exact() const = 0;
  virtual void unpack_into(int8_t* grouped_weight) const = 0;

  const std::shared_ptr<const ConvDescription> conv_;
  const int64_t largest_absolute_sum_;
};

// The weight in the order of one of QNNPACK's kernels.
template <typename Blocks>
class KernelConv final : public QnnpackPackedConv {
 public:
  KernelConv(
      std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
      const WeightFacts& facts)
      : QnnpackPackedConv(std::move(conv), facts),
        zero_points_(unsigned_zero_points(*conv_)),
        blocks_(conv_->geometry),
        weights_(conv_, blocks_, grouped_weight.const_data_ptr<int8_t>()) {}

  int64_t nbytes() const override {
    return weights_.nbytes() + static_cast<int64_t>(zero_points_.size());
  }

  std::string kernel_name() const override {
    if constexpr (std::is_same_v<Blocks, DepthwiseBlocks>) {
      return "depthwise";
    }
    if (runs_as_gemm(conv_->geometry)) {
      return "gemm";
    }
    return conv_->geometry.transposed ? "deconv" : "conv";
  }

 protected:
  void run_as_qnnpack(
      const RunShape& shape, const Activation& input, const QnnpackRequantization& requantization,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const override {
    const std::shared_ptr<const WeightBytes> weight = weights_.for_input_scale(input.scale);
    run_kernel(
        *conv_, blocks_, *weight, shape, input,
        {requantization.multipliers.data(), zero_points_.data(), quantization.zero_point, post_op,
         output});
  }

  // Made at the first need.
  const ExactConv& exact() const override {
    std::call_once(exact_once_, [&] {
      const at::Tensor grouped = empty_grouped_channels_last(conv_->geometry);
      unpack_into(grouped.mutable_data_ptr<int8_t>());
      exact_ = std::make_unique<ExactConv>(conv_, grouped.const_data_ptr<int8_t>());
    });
    return *exact_;
  }

  void unpack_into(int8_t* grouped_weight) const override {
    unpack_weight(conv_->geometry, blocks_, *weights_.any(), grouped_weight);
  }

 private:
  const std::vector<uint8_t> zero_points_;
  const Blocks blocks_;
  const ScaledWeights weights_;
  mutable std::once_flag exact_once_;
  mutable std::unique_ptr<const ExactConv> exact_;
};

class LoopsConv final : public QnnpackPackedConv {
 public:
  LoopsConv(
      std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
      const WeightFacts& facts)
      : QnnpackPackedConv(std::move(conv), facts),
        exact_(conv_, grouped_weight.const_data_ptr<int8_t>()) {}

  int64_t nbytes() const override { return exact_.nbytes(); }
  std::string kernel_name() const override { return "exact"; }

 protected:
  void run_as_qnnpack(
      const RunShape& shape, const Activation& input, const QnnpackRequantization& requantization,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const override {
    run_exactly(exact_, *conv_, shape, input, requantization, quantization, post_op, output);
  }

  const ExactConv& exact() const override { return exact_; }
  void unpack_into(int8_t* grouped_weight) const override { exact_.unpack(grouped_weight); }

 private:
  const ExactConv exact_;
};

// QNNPACK runs these a channel at a time, or 3x3x3 ones without vector instructions.
bool loops_are_faster(const ConvGeometry& geometry) {
  return geometry.in_channels_per_group() == 1 && geometry.out_channels_per_group() == 1 &&
      geometry.groups > 1 && !DepthwiseBlocks::has_kernel_for(geometry);
}

}  // namespace

std::unique_ptr<const PackedConv> pack_qnnpack_conv(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts) {
  if (loops_are_faster(conv->geometry)) {
    return std::make_unique<LoopsConv>(std::move(conv), grouped_weight, facts);
  }
  if (DepthwiseBlocks::has_kernel_for(conv->geometry)) {
    return std::make_unique<KernelConv<DepthwiseBlocks>>(std::move(conv), grouped_weight, facts);
  }
  return std::make_unique<KernelConv<TileBlocks>>(std::move(conv), grouped_weight, facts);
}

}  // namespace qconv
