#include "engines/exact/weight_facts.h"
#include "native/cpu/vector_clones.h"

#include <algorithm>
#include <cstdlib>

namespace qconv {
namespace {

// Two weights within +-64 times 255 stay within int16: 2 * 64 * 255 = 32640.
constexpr int kLargestSafeWeight = 64;

struct ChannelFacts {
  int32_t sum = 0;
  int32_t absolute_sum = 0;
  int32_t smallest = 0;
  int32_t largest = 0;
};

// count: small enough for the sums to fit int32.
QCONV_VECTOR_CLONES ChannelFacts
inspect_run(const int8_t* weight, int64_t count, int32_t zero_point) {
  ChannelFacts facts;
  for (int64_t k = 0; k < count; ++k) {
    const int32_t value = weight[k];
    const int32_t real = value - zero_point;
    facts.sum += real;
    facts.absolute_sum += std::abs(real);
    facts.smallest = std::min(facts.smallest, value);
    facts.largest = std::max(facts.largest, value);
  }
  return facts;
}

}  // namespace

WeightFacts inspect_weight(const ConvDescription& conv, const int8_t* grouped_weight) {
  constexpr int64_t kRun = int64_t{1} << 20;
  WeightFacts facts;
  const int64_t length = conv.geometry.reduction_length();
  facts.column_sums.reserve(conv.geometry.out_channels);
  for (int64_t channel = 0; channel < conv.geometry.out_channels; ++channel) {
    const int8_t* weight = grouped_weight + channel * length;
    const int32_t zero_point = conv.weight.zero_points[conv.channel_index(channel)];
    int64_t sum = 0;
    int64_t absolute_sum = 0;
    for (int64_t first = 0; first < length; first += kRun) {
      const ChannelFacts run =
          inspect_run(weight + first, std::min(kRun, length - first), zero_point);
      sum += run.sum;
      absolute_sum += run.absolute_sum;
      facts.no_pair_saturates = facts.no_pair_saturates && run.largest <= kLargestSafeWeight &&
          run.smallest >= -kLargestSafeWeight;
    }
    facts.column_sums.push_back(static_cast<int32_t>(sum));
    facts.largest_absolute_sum = std::max(facts.largest_absolute_sum, absolute_sum);
  }
  return facts;
}

}  // namespace qconv
