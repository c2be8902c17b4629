#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "engines/fbgemm/conv_parameters.h"
#include "engines/fbgemm/epilogue_kind.h"
#include "engines/fbgemm/kernel.h"

namespace qconv {
namespace {

using ::fbgemm::QuantizationGranularity;

template <int kDims>
class SpecializedKernel final : public FbgemmKernel {
 public:
  SpecializedKernel(
      std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
      const WeightFacts& facts)
      : conv_(std::move(conv)),
        column_sums_(facts.column_sums),
        zero_points_(weight_zero_points(*conv_)),
        weight_(
            std::make_unique<::fbgemm::PackWeightsForConv<kDims>>(
                packing_parameters<kDims>(conv_->geometry),
                grouped_weight.const_data_ptr<int8_t>())) {}

  const char* name() const override {
    return weight_->getPackedWForDepthwise() ? "depthwise" : "groupwise";
  }

  // The 3-D depthwise kernel writes as many border rows as the kernel reaches over, whether the
  // output has them or not.
  bool can_run(const RunShape& shape) const override {
    for (int i = 0; i < kDims; ++i) {
      if (kDims == 3 && shape.output_size[i] < conv_->geometry.kernel[i] / 2) {
        return false;
      }
    }
    return true;
  }

  void run(
      const RunShape& shape, const Activation& input, const RequantizationScales& scales,
      int32_t output_zero_point, PostOp post_op, uint8_t* output) const override {
    with_epilogue_kind(*conv_, post_op, [&](auto relu, auto granularity) {
      requantized<relu(), granularity()>(shape, input, scales, output_zero_point, output);
    });
  }

  bool run_to_float(const RunShape&, const Activation&, float*) const override { return false; }

  void unpack(int8_t* grouped_weight) const override { weight_->unpack(grouped_weight); }

  int64_t nbytes() const override {
    // Depthwise weights are stored in blocks of 32 channels and 4 taps, groupwise ones in blocks
    // of 4 channels; FBGEMM doesn't tell the sizes of its buffers.
    const ConvGeometry& geometry = conv_->geometry;
    const auto round_up = [](int64_t n, int64_t block) { return (n + block - 1) / block * block; };
    const int64_t packed = weight_->getPackedWForDepthwise()
        ? round_up(geometry.out_channels, 32) * round_up(geometry.kernel_taps(), 4)
        : geometry.out_channels * geometry.kernel_taps() *
            round_up(geometry.in_channels_per_group(), 4);
    return packed +
        static_cast<int64_t>((column_sums_.size() + zero_points_.size()) * sizeof(int32_t));
  }

 private:
  template <bool kRelu, QuantizationGranularity kGranularity>
  void requantized(
      const RunShape& shape, const Activation& input, const RequantizationScales& scales,
      int32_t output_zero_point, uint8_t* output) const {
    const ConvGeometry& geometry = conv_->geometry;
    const auto parameters = conv_parameters<kDims>(geometry, shape.batch, shape.input_size);
    int64_t rows = shape.batch;
    for (int64_t size : shape.output_size) {
      rows *= size;
    }
    const at::Tensor sums =
        at::empty({rows, geometry.out_channels}, at::TensorOptions().dtype(at::kInt));
    auto* const sums_data = sums.mutable_data_ptr<int32_t>();
    const int tasks = at::get_num_threads();
    at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      ::fbgemm::DoNothing<> nothing{};
      for (int64_t task = begin; task < end; ++task) {
        ::fbgemm::ReQuantizeOutput<kRelu, kGranularity, float> epilogue(
            nothing, scales.multiplier.data(), output_zero_point, input.zero_point,
            zero_points_.data(), nullptr, column_sums_.data(),
            conv_->bias ? conv_->bias->data() : nullptr,
            static_cast<uint32_t>(geometry.out_channels), static_cast<int>(geometry.groups),
            scales.input_times_weight.data());
        ::fbgemm::fbgemmConv<decltype(epilogue), kDims, int32_t>(
            parameters, input.data, *weight_, output, sums_data, epilogue, static_cast<int>(task),
            tasks);
      }
    });
  }

  const std::shared_ptr<const ConvDescription> conv_;
  const std::vector<int32_t> column_sums_;
  const std::vector<int32_t> zero_points_;
  const std::unique_ptr<::fbgemm::PackWeightsForConv<kDims>> weight_;
};

}  // namespace

std::unique_ptr<const FbgemmKernel> make_specialized_kernel(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts) {
  if (conv->geometry.spatial_dims() == 2) {
    return std::make_unique<SpecializedKernel<2>>(std::move(conv), grouped_weight, facts);
  }
  return std::make_unique<SpecializedKernel<3>>(std::move(conv), grouped_weight, facts);
}

}  // namespace qconv
