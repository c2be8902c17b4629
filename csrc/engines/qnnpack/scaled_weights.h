#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "conv/description.h"
#include "engines/qnnpack/weight_blocks.h"

namespace qconv {

// A packed weight, with the bias in it rounded for the input scale of a run. Without a bias, one
// packing serves every scale; with one, each scale that comes gets a packing of its own, of which
// the kMostScales used last are kept. Models have one scale, so one packing is what they hold.
class ScaledWeights {
 public:
  static constexpr size_t kMostScales = 4;

  ScaledWeights(
      std::shared_ptr<const ConvDescription> conv, const WeightBlocks& blocks,
      const int8_t* grouped_weight);

  // From any thread. The packing stays as long as the pointer does.
  std::shared_ptr<const WeightBytes> for_input_scale(double scale) const;
  // Any one of them, for what doesn't look at the bias.
  std::shared_ptr<const WeightBytes> any() const;
  int64_t nbytes() const;

 private:
  const std::shared_ptr<const ConvDescription> conv_;
  const WeightBlocks& blocks_;
  mutable std::mutex mutex_;
  // Scale and packing, used last in front. Scale 0 is that of the first packing, without bias.
  mutable std::vector<std::pair<double, std::shared_ptr<const WeightBytes>>> packings_;
};

}  // namespace qconv
