#pragma once

#include <ATen/native/quantized/PackedParams.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "conv/description.h"
#include "engines/choose_engine.h"
#include "state/saved_conv.h"

namespace qconv {

// A packed convolution as Python holds it: torch.classes.torch_qconv_prepack.Conv2dPackedParams
// (kSpatialDims 2: 1-D and 2-D) and Conv3dPackedParams. It derives from PyTorch's own base class,
// so PyTorch's run ops take it as well. Immutable: any number of threads may run one object.
template <int kSpatialDims>
class PackedParams final : public ConvPackedParamsBase<kSpatialDims> {
 public:
  static constexpr int kDims = kSpatialDims;
  using Pointer = c10::intrusive_ptr<PackedParams>;
  using StockPointer = c10::intrusive_ptr<ConvPackedParamsBase<kSpatialDims>>;

  // Checks everything and packs with the engine asked for, or the default one.
  static Pointer pack(
      std::string_view op, const ConvArguments& arguments, const EngineRequest& engine);
  // engine: overrides the one that the state may name.
  static Pointer from_state(
      std::string_view op, const c10::IValue& state, std::optional<std::string> engine);
  // An object of PyTorch's, or one of ours in its guise, which is returned as it is where its
  // engine is the one asked for.
  static Pointer from_quantized(
      std::string_view op, const StockPointer& stock, const std::optional<std::string>& engine);

  PackedParams(std::shared_ptr<const ConvDescription> conv, EnginePacking packing);

  // The same convolution packed by another engine or policy, without loss; this object where it was
  // packed by that name.
  Pointer to_engine(std::string_view op, const std::string& name);

  // PyTorch's interface; the input has kSpatialDims spatial dimensions, for 1-D as well.
  at::Tensor apply(const at::Tensor& input, double scale, int64_t zero_point) override;
  at::Tensor apply_relu(const at::Tensor& input, double scale, int64_t zero_point) override;
  at::Tensor apply_dynamic(const at::Tensor& input, bool reduce_range) override;
  std::tuple<at::Tensor, std::optional<at::Tensor>> unpack() override;
  torch::List<int64_t> stride() const override;
  torch::List<int64_t> padding() const override;
  torch::List<int64_t> output_padding() const override;
  torch::List<int64_t> dilation() const override;
  int64_t groups() const override { return conv_->geometry.groups; }
  bool transpose() const override { return conv_->geometry.transposed; }

  const ConvDescription& description() const { return *conv_; }
  const PackedConv& packed() const { return *packing_.packed; }
  const std::string& engine() const { return packing_.engine; }
  int64_t nbytes() const { return packed().nbytes() + conv_->nbytes(); }

  PlainState plain_state() const;
  // See write_state.
  c10::IValue stock_state(std::string_view op, std::optional<int64_t> version) const;

 private:
  // The name of a run op of this kind, for PyTorch's interface.
  std::string op_name(const char* suffix) const {
    return std::string(conv_->geometry.kind()) + suffix;
  }

  const std::shared_ptr<const ConvDescription> conv_;
  const EnginePacking packing_;
};

extern template class PackedParams<2>;
extern template class PackedParams<3>;

}  // namespace qconv
