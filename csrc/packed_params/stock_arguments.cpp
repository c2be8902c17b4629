#include "packed_params/stock_arguments.h"

#include "conv/check.h"
#include "engines/fbgemm/stock_objects.h"

namespace qconv {
namespace {

// PyTorch's engines can't unpack all that they pack.
template <int kSpatialDims>
std::tuple<at::Tensor, std::optional<at::Tensor>> unpack_stock(
    std::string_view op, ConvPackedParamsBase<kSpatialDims>& stock) {
  try {
    return stock.unpack();
  } catch (const c10::Error& error) {
    QCONV_CHECK_IMPLEMENTED(
        false, op, "PyTorch can't unpack this object (", error.what_without_backtrace(),
        "); pack the original weight with this package");
  }
}

}  // namespace

template <int kSpatialDims>
ConvArguments stock_arguments(std::string_view op, ConvPackedParamsBase<kSpatialDims>& stock) {
  const auto [weight, bias] = unpack_stock(op, stock);
  ConvArguments arguments;
  arguments.conv_dims = kSpatialDims;
  arguments.transposed = stock.transpose();
  arguments.weight = weight;
  arguments.bias = bias;
  arguments.stride = stock.stride().vec();
  arguments.padding = stock.padding().vec();
  arguments.output_padding = stock.output_padding().vec();
  arguments.dilation = stock.dilation().vec();
  arguments.groups = stock.groups();
  arguments.may_run_as_1d = may_have_been_1d(arguments);
  QCONV_CHECK_IMPLEMENTED(
      !stock_weight_is_lost(stock, check_conv(op, arguments).description.geometry), op,
      "PyTorch can't give back the weight of a transposed convolution with kernel height 2 "
      "packed by its engine fbgemm; pack the original weight with this package");
  return arguments;
}

template ConvArguments stock_arguments<2>(std::string_view, ConvPackedParamsBase<2>&);
template ConvArguments stock_arguments<3>(std::string_view, ConvPackedParamsBase<3>&);

}  // namespace qconv
