#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "conv/description.h"
#include "engines/exact/weight_facts.h"

namespace qconv {

// The weight that an engine packs. What takes a pass over it is made when an engine first asks, so
// that one which doesn't ask doesn't pay. For one thread, during one pack.
class WeightSource {
 public:
  // weight: CheckedConv::weight. op starts the messages. All three must outlive this.
  WeightSource(std::string_view op, const ConvDescription& conv, const at::Tensor& weight)
      : op_(op), conv_(conv), weight_(weight) {}

  // As the caller gave it: int8 of any strides, forward [out, in/groups, kernel...], transposed
  // [in, out/groups, kernel...].
  const at::Tensor& original() const { return weight_; }

  // In the order of weight_layout.h.
  const at::Tensor& grouped() const;

  // Raises NotImplementedError where sums of products can overflow int32: engines that never ask
  // must see to that themselves.
  const WeightFacts& facts() const;

 private:
  const std::string_view op_;
  const ConvDescription& conv_;
  const at::Tensor& weight_;
  mutable at::Tensor grouped_;
  mutable std::optional<WeightFacts> facts_;
};

}  // namespace qconv
