#pragma once

#include <fbgemm/Fbgemm.h>

#include <type_traits>

#include "engines/engine.h"

namespace qconv {

template <::fbgemm::QuantizationGranularity kGranularity>
using GranularityConstant = std::integral_constant<::fbgemm::QuantizationGranularity, kGranularity>;

// FBGEMM's epilogues are templates on relu and on the granularity of the weight's scales: calls
// use(std::bool_constant<relu>, GranularityConstant<granularity>) for this convolution.
template <typename Use>
void with_epilogue_kind(const ConvDescription& conv, PostOp post_op, const Use& use) {
  using ::fbgemm::QuantizationGranularity;
  const auto with_granularity = [&](auto granularity) {
    post_op == PostOp::kRelu ? use(std::true_type(), granularity)
                             : use(std::false_type(), granularity);
  };
  conv.weight.per_channel
      ? with_granularity(GranularityConstant<QuantizationGranularity::OUT_CHANNEL>())
      : with_granularity(GranularityConstant<QuantizationGranularity::TENSOR>());
}

}  // namespace qconv
