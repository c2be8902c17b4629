#include "engines/fbgemm/packed_conv.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "engines/exact/exact_conv.h"
#include "engines/fbgemm/conv_parameters.h"
#include "engines/fbgemm/exact_requantization.h"
#include "engines/fbgemm/kernel.h"
#include "engines/weight_layout.h"

namespace qconv {
namespace {

using ::fbgemm::inst_set_t;
using ::fbgemm::optimized_conv_t;

// FBGEMM's matrix products saturate at int16 without VNNI instructions.
bool gemm_is_exact(const WeightFacts& facts) {
  const inst_set_t isa = ::fbgemm::fbgemmInstructionSet();
  return facts.no_pair_saturates || isa == inst_set_t::avx512_vnni ||
      isa == inst_set_t::avx512_vnni_ymm;
}

// One matrix product a channel, each padded to whole blocks, is far slower than the exact loops;
// and a padded weight of 2^31 bytes makes FBGEMM's sizes overflow.
bool gemm_wastes_groups(const ConvGeometry& geometry) {
  const bool one_to_one =
      geometry.in_channels_per_group() == 1 && geometry.out_channels_per_group() == 1;
  return (one_to_one && geometry.groups > 1) ||
      packed_weight_bytes(geometry) > std::numeric_limits<int32_t>::max();
}

// FBGEMM's im2col has a variant for first layers (3 channels, stride 2) that writes a whole row of
// the kernel's weights into a block that holds as few as 256.
bool im2col_overflows(const ConvGeometry& geometry) {
  bool variant = !geometry.transposed && geometry.spatial_dims() == 2 &&
      geometry.in_channels == 3 && geometry.groups == 1;
  for (int i = 0; i < geometry.spatial_dims(); ++i) {
    variant = variant && geometry.stride[i] == 2 && geometry.dilation[i] == 1 &&
        geometry.padding[i] == (geometry.kernel[i] - 1) / 2;
  }
  return variant && geometry.reduction_length() > 256;
}

// The depthwise kernel sums the activations of all taps in int16 where a zero point needs them.
bool tap_sums_fit_int16(const ConvDescription& conv) {
  return conv.weight.symmetric() || conv.geometry.kernel_taps() * 255 <= 32767;
}

// The groupwise kernel takes several groups at once and writes beyond its buffers where their
// number doesn't divide the groups.
template <int kDims>
bool groups_come_out_even(const ConvGeometry& geometry) {
  using Packed = ::fbgemm::PackWeightMatrixForGConv<int8_t, int32_t, kDims>;
  return geometry.groups % Packed::numOfGroupsTogether(packing_parameters<kDims>(geometry)) == 0;
}

template <int kDims>
optimized_conv_t kernel_of_fbgemm(const ConvGeometry& geometry) {
  return ::fbgemm::ConvFastPath<kDims, int32_t>(packing_parameters<kDims>(geometry));
}

// The FBGEMM kernel to use, or null where only the exact loops are right.
std::unique_ptr<const FbgemmKernel> choose_kernel(
    const std::shared_ptr<const ConvDescription>& conv, const at::Tensor& weight,
    const WeightFacts& facts) {
  const optimized_conv_t kernel = conv->geometry.spatial_dims() == 2
      ? kernel_of_fbgemm<2>(conv->geometry)
      : kernel_of_fbgemm<3>(conv->geometry);
  switch (kernel) {
    case optimized_conv_t::depthwise:
      if (facts.no_pair_saturates && tap_sums_fit_int16(*conv)) {
        return make_specialized_kernel(conv, weight, facts);
      }
      return nullptr;
    case optimized_conv_t::groupwise:
      if (gemm_is_exact(facts) &&
          (conv->geometry.spatial_dims() == 2 ? groups_come_out_even<2>(conv->geometry)
                                              : groups_come_out_even<3>(conv->geometry))) {
        return make_specialized_kernel(conv, weight, facts);
      }
      [[fallthrough]];
    default:
      // "directconv", FBGEMM's kernel for transposed kernels of height 2, gives wrong results:
      // these go through im2col as well.
      if (gemm_is_exact(facts) && !gemm_wastes_groups(conv->geometry) &&
          !im2col_overflows(conv->geometry)) {
        return make_gemm_kernel(conv, weight, facts);
      }
      return nullptr;
  }
}

class FbgemmPackedConv final : public PackedConv {
 public:
  FbgemmPackedConv(
      std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
      const WeightFacts& facts)
      : conv_(std::move(conv)),
        largest_absolute_sum_(facts.largest_absolute_sum),
        kernel_(choose_kernel(conv_, grouped_weight, facts)) {
    if (!kernel_) {
      exact_ = std::make_unique<ExactConv>(conv_, grouped_weight.const_data_ptr<int8_t>());
    }
  }

  void run(
      std::string_view op, const RunShape& shape, const Activation& input,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const override {
    const RequantizationScales scales =
        requantization_scales(op, *conv_, input.scale, quantization.scale, largest_absolute_sum_);
    if (kernel_can_run(shape) && scales.fits_int32) {
      kernel_->run(shape, input, scales, quantization.zero_point, post_op, output);
    } else {
      run_exactly(exact(), *conv_, shape, input, scales, quantization, post_op, output);
    }
  }

  void run_to_float(const RunShape& shape, const Activation& input, float* output) const override {
    if (!kernel_can_run(shape) || !products_are_normal(*conv_, input.scale) ||
        !kernel_->run_to_float(shape, input, output)) {
      exact().run_to_float(shape, input, output);
    }
  }

  at::Tensor unpack() const override {
    const at::Tensor grouped = empty_grouped_channels_last(conv_->geometry);
    auto* data = grouped.mutable_data_ptr<int8_t>();
    kernel_ ? kernel_->unpack(data) : exact_->unpack(data);
    return from_grouped_channels_last(grouped, conv_->geometry);
  }

  int64_t nbytes() const override { return kernel_ ? kernel_->nbytes() : exact_->nbytes(); }

  std::string kernel_name() const override { return kernel_ ? kernel_->name() : "exact"; }

 private:
  // FBGEMM indexes activations and outputs with int.
  bool kernel_can_run(const RunShape& shape) const {
    const auto fits = [&](const Dims& size, int64_t channels) {
      int64_t left = std::numeric_limits<int32_t>::max() / std::max<int64_t>(shape.batch, 1);
      left /= channels;
      for (int64_t extent : size) {
        left /= extent;
      }
      return left > 0;
    };
    return kernel_ && fits(shape.input_size, conv_->geometry.in_channels) &&
        fits(shape.output_size, conv_->geometry.out_channels) && kernel_->can_run(shape);
  }

  // Made at the first need where FBGEMM has a kernel, but not for what is asked.
  const ExactConv& exact() const {
    std::call_once(exact_once_, [&] {
      if (!exact_) {
        const at::Tensor grouped = empty_grouped_channels_last(conv_->geometry);
        kernel_->unpack(grouped.mutable_data_ptr<int8_t>());
        exact_ = std::make_unique<ExactConv>(conv_, grouped.const_data_ptr<int8_t>());
      }
    });
    return *exact_;
  }

  const std::shared_ptr<const ConvDescription> conv_;
  const int64_t largest_absolute_sum_;
  const std::unique_ptr<const FbgemmKernel> kernel_;
  mutable std::once_flag exact_once_;
  mutable std::unique_ptr<const ExactConv> exact_;
};

}  // namespace

std::unique_ptr<const PackedConv> pack_fbgemm_conv(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts) {
  return std::make_unique<FbgemmPackedConv>(std::move(conv), grouped_weight, facts);
}

}  // namespace qconv
