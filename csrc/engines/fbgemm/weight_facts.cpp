#include "engines/fbgemm/weight_facts.h"

#include <algorithm>
#include <cstdlib>

namespace qconv {
namespace {

// int16 range over the largest activation, rounded towards 0: 255 * 128 = 32640 <= 32767.
constexpr int kLargestSafePairSum = 128;

// The two largest values seen; no pair sums to more.
struct TopTwo {
  int first = 0;
  int second = 0;

  void see(int value) {
    if (value > first) {
      second = first;
      first = value;
    } else if (value > second) {
      second = value;
    }
  }
  bool safe() const { return first + second <= kLargestSafePairSum; }
};

}  // namespace

WeightFacts inspect_weight(const ConvDescription& conv, const int8_t* grouped_weight) {
  WeightFacts facts;
  const int64_t length = conv.geometry.reduction_length();
  facts.column_sums.reserve(conv.geometry.out_channels);
  for (int64_t channel = 0; channel < conv.geometry.out_channels; ++channel) {
    const int8_t* weight = grouped_weight + channel * length;
    const int zero_point = conv.weight.zero_points[conv.channel_index(channel)];
    int64_t sum = 0;
    int64_t absolute_sum = 0;
    TopTwo positive;
    TopTwo negative;
    for (int64_t k = 0; k < length; ++k) {
      const int value = weight[k];
      sum += value - zero_point;
      absolute_sum += std::abs(value - zero_point);
      positive.see(value);
      negative.see(-value);
    }
    facts.column_sums.push_back(static_cast<int32_t>(sum));
    facts.largest_absolute_sum = std::max(facts.largest_absolute_sum, absolute_sum);
    facts.no_pair_saturates = facts.no_pair_saturates && positive.safe() && negative.safe();
  }
  return facts;
}

}  // namespace qconv
