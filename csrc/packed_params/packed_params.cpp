#include "packed_params/packed_params.h"

#include "conv/check.h"
#include "conv/quantized_weight.h"
#include "packed_params/run.h"
#include "packed_params/stock_arguments.h"

namespace qconv {
namespace {

torch::List<int64_t> to_list(const Dims& values) {
  return torch::List<int64_t>(c10::IntArrayRef(values));
}

}  // namespace

template <int kSpatialDims>
PackedParams<kSpatialDims>::PackedParams(
    std::shared_ptr<const ConvDescription> conv, EnginePacking packing)
    : conv_(std::move(conv)), packing_(std::move(packing)) {}

template <int kSpatialDims>
auto PackedParams<kSpatialDims>::pack(
    std::string_view op, const ConvArguments& arguments, const EngineRequest& engine) -> Pointer {
  CheckedConv checked = check_conv(op, arguments);
  auto conv = std::make_shared<const ConvDescription>(std::move(checked.description));
  EnginePacking packing = pack_with_engine(op, engine, conv, checked.weight);
  return c10::make_intrusive<PackedParams>(std::move(conv), std::move(packing));
}

template <int kSpatialDims>
auto PackedParams<kSpatialDims>::from_state(
    std::string_view op, const c10::IValue& state, std::optional<std::string> engine) -> Pointer {
  const SavedConv saved = read_state(op, state, kSpatialDims);
  return pack(op, saved.arguments, {std::move(engine), saved.engine});
}

template <int kSpatialDims>
auto PackedParams<kSpatialDims>::from_quantized(
    std::string_view op, const StockPointer& stock, const std::optional<std::string>& engine)
    -> Pointer {
  if (auto* own = dynamic_cast<PackedParams*>(stock.get())) {
    if (!engine || *engine == own->engine()) {
      return Pointer::reclaim_copy(own);
    }
    return own->to_engine(op, *engine);
  }
  return pack(op, stock_arguments(op, *stock), {engine, std::nullopt});
}

template <int kSpatialDims>
auto PackedParams<kSpatialDims>::to_engine(std::string_view op, const std::string& name)
    -> Pointer {
  if (name == packing_.asked_for) {
    return Pointer::reclaim_copy(this);
  }
  EnginePacking packing = pack_with_engine(op, {name, std::nullopt}, conv_, packed().unpack());
  return c10::make_intrusive<PackedParams>(conv_, std::move(packing));
}

template <int kSpatialDims>
at::Tensor PackedParams<kSpatialDims>::apply(
    const at::Tensor& input, double scale, int64_t zero_point) {
  return run_conv(
      conv_->geometry.kind(), kSpatialDims, *conv_, packed(), input, std::nullopt, scale,
      zero_point, PostOp::kNone);
}

template <int kSpatialDims>
at::Tensor PackedParams<kSpatialDims>::apply_relu(
    const at::Tensor& input, double scale, int64_t zero_point) {
  return run_conv(
      op_name("_relu"), kSpatialDims, *conv_, packed(), input, std::nullopt, scale, zero_point,
      PostOp::kRelu);
}

template <int kSpatialDims>
at::Tensor PackedParams<kSpatialDims>::apply_dynamic(const at::Tensor& input, bool reduce_range) {
  return run_conv_dynamic(op_name("_dynamic"), kSpatialDims, *conv_, packed(), input, reduce_range);
}

template <int kSpatialDims>
std::tuple<at::Tensor, std::optional<at::Tensor>> PackedParams<kSpatialDims>::unpack() {
  return {
      make_quantized_weight(packed().unpack(), conv_->weight, conv_->geometry.transposed),
      bias_tensor(*conv_)};
}

template <int kSpatialDims>
torch::List<int64_t> PackedParams<kSpatialDims>::stride() const {
  return to_list(conv_->geometry.stride);
}

template <int kSpatialDims>
torch::List<int64_t> PackedParams<kSpatialDims>::padding() const {
  return to_list(conv_->geometry.padding);
}

template <int kSpatialDims>
torch::List<int64_t> PackedParams<kSpatialDims>::output_padding() const {
  return to_list(conv_->geometry.output_padding);
}

template <int kSpatialDims>
torch::List<int64_t> PackedParams<kSpatialDims>::dilation() const {
  return to_list(conv_->geometry.dilation);
}

template <int kSpatialDims>
PlainState PackedParams<kSpatialDims>::plain_state() const {
  return write_plain_state({*conv_, packed().unpack(), packing_.asked_for});
}

template <int kSpatialDims>
c10::IValue PackedParams<kSpatialDims>::stock_state(
    std::string_view op, std::optional<int64_t> version) const {
  return write_state(op, {*conv_, packed().unpack(), packing_.asked_for}, version);
}

template class PackedParams<2>;
template class PackedParams<3>;

}  // namespace qconv
