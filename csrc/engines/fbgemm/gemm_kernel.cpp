#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <functional>
#include <numeric>

#include "engines/fbgemm/conv_parameters.h"
#include "engines/fbgemm/epilogue_kind.h"
#include "engines/fbgemm/kernel.h"

namespace qconv {
namespace {

using ::fbgemm::QuantizationGranularity;
using PackedB = ::fbgemm::PackBMatrix<int8_t, int32_t>;

template <int kDims>
class GemmKernel final : public FbgemmKernel {
 public:
  GemmKernel(
      std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
      const WeightFacts& facts)
      : conv_(std::move(conv)),
        column_sums_(facts.column_sums),
        zero_points_(weight_zero_points(*conv_)),
        pointwise_(
            ::fbgemm::takePointWiseFastPath<kDims>(packing_parameters<kDims>(conv_->geometry))) {
    const ConvGeometry& geometry = conv_->geometry;
    const int k = static_cast<int>(geometry.kernel_taps() * geometry.in_channels);
    const int groups = static_cast<int>(geometry.groups);
    weight_ = std::make_unique<PackedB>(
        ::fbgemm::matrix_op_t::Transpose, k, static_cast<int>(geometry.out_channels_per_group()),
        grouped_weight.const_data_ptr<int8_t>(), k / groups, nullptr, groups);
    scales_.reserve(zero_points_.size());
    for (size_t i = 0; i < zero_points_.size(); ++i) {
      scales_.push_back(
          static_cast<float>(conv_->weight.scales[conv_->channel_index(static_cast<int64_t>(i))]));
    }
  }

  const char* name() const override { return pointwise_ ? "pointwise" : "im2col"; }

  bool can_run(const RunShape&) const override { return true; }

  void run(
      const RunShape& shape, const Activation& input, const RequantizationScales& scales,
      int32_t output_zero_point, PostOp post_op, uint8_t* output) const override {
    with_epilogue_kind(*conv_, post_op, [&](auto relu, auto granularity) {
      requantized<relu(), granularity()>(shape, input, scales, output_zero_point, output);
    });
  }

  bool run_to_float(const RunShape& shape, const Activation& input, float* output) const override {
    with_epilogue_kind(*conv_, PostOp::kNone, [&](auto, auto granularity) {
      to_float<granularity()>(shape, input, output);
    });
    return true;
  }

  void unpack(int8_t* grouped_weight) const override { weight_->unpack(grouped_weight); }

  int64_t nbytes() const override {
    return packed_weight_bytes(conv_->geometry) +
        static_cast<int64_t>(
               (column_sums_.size() + zero_points_.size()) * sizeof(int32_t) +
               scales_.size() * sizeof(float));
  }

 private:
  const float* bias() const { return conv_->bias ? conv_->bias->data() : nullptr; }

  template <bool kRelu, QuantizationGranularity kGranularity>
  void requantized(
      const RunShape& shape, const Activation& input, const RequantizationScales& scales,
      int32_t output_zero_point, uint8_t* output) const {
    multiply(shape, input, output, [&](const int32_t* row_sums, auto&& use) {
      ::fbgemm::DoNothing<> nothing{};
      use(::fbgemm::ReQuantizeOutput<kRelu, kGranularity, float>(
          nothing, scales.multiplier.data(), output_zero_point, input.zero_point,
          zero_points_.data(), row_sums, column_sums_.data(), bias(), columns(), groups(),
          scales.input_times_weight.data()));
    });
  }

  template <QuantizationGranularity kGranularity>
  void to_float(const RunShape& shape, const Activation& input, float* output) const {
    multiply(shape, input, output, [&](const int32_t* row_sums, auto&& use) {
      ::fbgemm::DoNothing<float, float> nothing{};
      use(::fbgemm::ReQuantizeForFloat<false, kGranularity>(
          nothing, static_cast<float>(input.scale), scales_.data(), input.zero_point,
          zero_points_.data(), row_sums, column_sums_.data(), bias(), columns(), groups()));
    });
  }

  // Runs the product on all threads. with_epilogue(row_sums, use) makes the epilogue that turns
  // int32 sums into output values and hands it to `use`; row_sums is where FBGEMM leaves the sums
  // of the activation's rows, which weight zero points need.
  template <typename Output, typename WithEpilogue>
  void multiply(
      const RunShape& shape, const Activation& input, Output* output,
      const WithEpilogue& with_epilogue) const {
    const auto parameters = conv_parameters<kDims>(conv_->geometry, shape.batch, shape.input_size);
    const int rows = std::accumulate(
        parameters.OUT_DIM.begin(), parameters.OUT_DIM.end(), parameters.MB, std::multiplies<>());
    const at::Tensor sums =
        at::empty({rows, conv_->geometry.out_channels}, at::TensorOptions().dtype(at::kInt));
    auto* const sums_data = sums.mutable_data_ptr<int32_t>();
    const int tasks = at::get_num_threads();
    at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const auto product = [&](auto& packed_input, int32_t* row_sums) {
          with_epilogue(row_sums, [&](const auto& epilogue) {
            ::fbgemm::fbgemmPacked(
                packed_input, *weight_, output, sums_data, columns(), epilogue,
                static_cast<int>(task), tasks);
          });
        };
        if (pointwise_) {
          using PackedA = ::fbgemm::PackAWithRowOffset<uint8_t>;
          std::vector<int32_t> row_sums(PackedA::rowOffsetBufferSize());
          PackedA packed_input(
              ::fbgemm::matrix_op_t::NoTranspose, rows, parameters.IC, input.data, parameters.IC,
              nullptr, parameters.G, row_sums.data());
          product(packed_input, row_sums.data());
        } else {
          using PackedA = ::fbgemm::PackAWithIm2Col<uint8_t, int32_t, kDims>;
          std::vector<int32_t> row_sums(PackedA::rowOffsetBufferSize());
          PackedA packed_input(
              parameters, input.data, nullptr, input.zero_point, row_sums.data(),
              conv_->weight.symmetric());
          product(packed_input, row_sums.data());
        }
      }
    });
  }

  uint32_t columns() const { return static_cast<uint32_t>(conv_->geometry.out_channels); }
  int groups() const { return static_cast<int>(conv_->geometry.groups); }

  const std::shared_ptr<const ConvDescription> conv_;
  const std::vector<int32_t> column_sums_;
  const std::vector<int32_t> zero_points_;
  const bool pointwise_;
  std::unique_ptr<PackedB> weight_;
  std::vector<float> scales_;
};

}  // namespace

int64_t packed_weight_bytes(const ConvGeometry& geometry) {
  return geometry.groups *
      PackedB::packedBufferSize(
             static_cast<int>(geometry.reduction_length()),
             static_cast<int>(geometry.out_channels_per_group()));
}

std::unique_ptr<const FbgemmKernel> make_gemm_kernel(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts) {
  if (conv->geometry.spatial_dims() == 2) {
    return std::make_unique<GemmKernel<2>>(std::move(conv), grouped_weight, facts);
  }
  return std::make_unique<GemmKernel<3>>(std::move(conv), grouped_weight, facts);
}

}  // namespace qconv
