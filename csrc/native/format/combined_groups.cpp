#include "native/format/combined_groups.h"

#include <algorithm>

#include "native/format/layout.h"

namespace qconv::native {
namespace {

// Larger weights would take too much memory: up to 16 times their own.
constexpr int64_t kMostWeights = 65536;

int64_t groups_per_block(const Convolution& conv) {
  const int64_t out_channels = conv.out_channels_per_group();
  const bool depthwise = conv.in_channels_per_group() == 1 && out_channels == 1;
  if (depthwise || is_grouped(conv) || out_channels > kBlockColumns ||
      conv.weights() > kMostWeights) {
    return 1;
  }
  int64_t count = std::min(conv.groups, kBlockColumns / out_channels);
  while (conv.groups % count != 0) {
    --count;
  }
  return count;
}

// Calls use(place in a weight of `conv` with these strides, place in the contiguous weight of the
// combined convolution) for every weight.
template <typename Use>
void for_each_place(const Convolution& conv, const WeightStrides& strides, const Use& use) {
  const Convolution combined = combine_groups(conv);
  const WeightStrides target = contiguous_strides(combined);
  const int64_t in_channels = conv.in_channels_per_group();
  const int64_t out_channels = conv.out_channels_per_group();
  const int64_t together = conv.groups / combined.groups;
  const Extent& kernel = conv.kernel;
  for (int64_t group = 0; group < conv.groups; ++group) {
    const int64_t position = group % together;
    for (int64_t o = 0; o < out_channels; ++o) {
      for (int64_t i = 0; i < in_channels; ++i) {
        const int64_t from =
            group * strides.group + o * strides.out_channel + i * strides.in_channel;
        const int64_t to = group / together * target.group +
            (position * out_channels + o) * target.out_channel +
            (position * in_channels + i) * target.in_channel;
        for (int64_t d = 0; d < kernel[0]; ++d) {
          for (int64_t h = 0; h < kernel[1]; ++h) {
            for (int64_t w = 0; w < kernel[2]; ++w) {
              use(from + d * strides.kernel[0] + h * strides.kernel[1] + w * strides.kernel[2],
                  to + d * target.kernel[0] + h * target.kernel[1] + w * target.kernel[2]);
            }
          }
        }
      }
    }
  }
}

}  // namespace

Convolution combine_groups(const Convolution& conv) {
  Convolution combined = conv;
  combined.groups /= groups_per_block(conv);
  return combined;
}

std::vector<int8_t> combine_weight(
    const Convolution& conv, const int8_t* weight, const WeightStrides& strides,
    const int32_t* zero_points, bool zero_points_per_channel) {
  const Convolution combined = combine_groups(conv);
  std::vector<int8_t> result(static_cast<size_t>(combined.weights()));
  // [group][out channel][in channel][kernel], transposed [group][in channel][out channel][kernel].
  const int64_t out_channels = combined.out_channels_per_group();
  const int64_t run = combined.taps() * (conv.transposed ? 1 : combined.in_channels_per_group());
  for (int64_t i = 0; zero_points != nullptr && i < combined.weights(); i += run) {
    const int64_t group = i / (combined.weights() / combined.groups);
    const int64_t channel = group * out_channels + i / run % out_channels;
    std::fill_n(
        result.begin() + i, run,
        static_cast<int8_t>(zero_points[zero_points_per_channel ? channel : 0]));
  }
  for_each_place(conv, strides, [&](int64_t from, int64_t to) {
    result[static_cast<size_t>(to)] = weight[from];
  });
  return result;
}

void separate_weight(const Convolution& conv, const int8_t* combined, int8_t* weight) {
  for_each_place(conv, contiguous_strides(conv), [&](int64_t from, int64_t to) {
    weight[from] = combined[to];
  });
}

}  // namespace qconv::native
