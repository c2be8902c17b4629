#include "engines/weight_source.h"

#include "conv/check.h"
#include "engines/weight_layout.h"

namespace qconv {

const at::Tensor& WeightSource::grouped() const {
  if (!grouped_.defined()) {
    grouped_ = to_grouped_channels_last(weight_, conv_.geometry);
  }
  return grouped_;
}

const WeightFacts& WeightSource::facts() const {
  if (!facts_) {
    facts_ = inspect_weight(conv_, grouped().const_data_ptr<int8_t>());
    QCONV_CHECK_IMPLEMENTED(
        facts_->largest_absolute_sum <= kLargestExactAbsoluteSum, op_,
        "no engine can run this weight exactly: the absolute weights of one output channel sum to ",
        facts_->largest_absolute_sum, ", and sums above ", kLargestExactAbsoluteSum,
        " can overflow int32; split the input channels over two convolutions");
  }
  return *facts_;
}

}  // namespace qconv
