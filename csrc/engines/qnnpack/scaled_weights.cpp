#include "engines/qnnpack/scaled_weights.h"

#include <algorithm>

#include "engines/qnnpack/requantization.h"

namespace qconv {

ScaledWeights::ScaledWeights(
    std::shared_ptr<const ConvDescription> conv, const WeightBlocks& blocks,
    const int8_t* grouped_weight)
    : conv_(std::move(conv)), blocks_(blocks) {
  packings_.emplace_back(
      0.0, std::make_shared<WeightBytes>(pack_weight(*conv_, blocks_, grouped_weight)));
}

std::shared_ptr<const WeightBytes> ScaledWeights::for_input_scale(double scale) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!conv_->bias) {
    return packings_.front().second;
  }
  const auto found = std::find_if(packings_.begin(), packings_.end(), [&](const auto& packing) {
    return packing.first == scale;
  });
  if (found != packings_.end()) {
    std::rotate(packings_.begin(), found, found + 1);
    return packings_.front().second;
  }
  auto packing = std::make_shared<WeightBytes>(*packings_.front().second);
  set_biases(blocks_, bias_in_sums(*conv_, scale), *packing);
  if (packings_.front().first == 0 || packings_.size() == kMostScales) {
    packings_.pop_back();
  }
  packings_.emplace(packings_.begin(), scale, packing);
  return packing;
}

std::shared_ptr<const WeightBytes> ScaledWeights::any() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return packings_.front().second;
}

int64_t ScaledWeights::nbytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(packings_.size()) * blocks_.nbytes();
}

}  // namespace qconv
