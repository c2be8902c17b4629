#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "native/convolution.h"
#include "native/format/layout.h"
#include "native/format/packed_view.h"
#include "native/run/run.h"

namespace qconv::native::test {

// A convolution with its weights, as its user has them. Everything below is written from the
// definitions alone, and shares no code with what it tests.
struct Problem {
  Convolution conv;
  std::vector<int8_t> weight;        // [out, in / groups, depth, height, width]
  std::vector<double> scales;        // 1 or out
  std::vector<int32_t> zero_points;  // 1 or out
  std::vector<float> bias;           // 0 or out

  int8_t weight_at(int64_t out, int64_t in, int64_t d, int64_t h, int64_t w) const {
    const Extent& kernel = conv.kernel;
    return weight
        [(((out * conv.in_channels_per_group() + in) * kernel[0] + d) * kernel[1] + h) * kernel[2] +
         w];
  }
  double scale(int64_t out) const { return scales[scales.size() == 1 ? 0 : out]; }
  int32_t zero_point(int64_t out) const { return zero_points[zero_points.size() == 1 ? 0 : out]; }
};

// Weights in the layout that docs/packed_format.md describes, with memory of their own.
struct ReferencePacked {
  std::vector<int8_t> weight;
  std::vector<int32_t> column_sums;
  PackedView view;
};

inline void pack_reference(const Problem& problem, ReferencePacked& packed) {
  const Convolution& conv = problem.conv;
  const Layout layout = layout_of(conv);
  const int64_t in_per_group = conv.in_channels_per_group();
  const int64_t out_per_group = conv.out_channels_per_group();
  packed.weight.assign(layout.weight_bytes + 64, 0);
  packed.column_sums.assign(conv.out_channels, 0);
  for (int64_t out = 0; out < conv.out_channels; ++out) {
    const int64_t group = out / out_per_group;
    const int64_t block = out % out_per_group / kBlockColumns;
    const int64_t column = out % out_per_group % kBlockColumns;
    const int64_t columns = block + 1 == layout.blocks ? layout.last_columns : kBlockColumns;
    int64_t block_start = group * layout.group_bytes() + block * layout.block_bytes();
    for (int64_t in = 0; in < in_per_group; ++in) {
      for (int64_t d = 0; d < conv.kernel[0]; ++d) {
        for (int64_t h = 0; h < conv.kernel[1]; ++h) {
          for (int64_t w = 0; w < conv.kernel[2]; ++w) {
            const int8_t value = problem.weight_at(out, in, d, h, w);
            packed.column_sums[out] += value;
            if (layout.kind == LayoutKind::kDepthwise) {
              const int64_t tap = (d * conv.kernel[1] + h) * conv.kernel[2] + w;
              packed.weight[tap * ((conv.out_channels + 15) / 16 * 16) + out] = value;
              continue;
            }
            const int64_t row_groups =
                (conv.kernel[1] + layout.folded_rows - 1) / layout.folded_rows;
            int64_t tap = d * row_groups + h / layout.folded_rows;
            int64_t k = h % layout.folded_rows * in_per_group + in;
            if (layout.folds_width) {
              k += w * layout.folded_rows * in_per_group;
            } else {
              tap = tap * conv.kernel[2] + w;
            }
            const int64_t quad = tap * layout.quads_per_tap() + k / kQuad;
            packed.weight[block_start + (quad * columns + column) * kQuad + k % kQuad] = value;
          }
        }
      }
    }
  }
  PackedView& view = packed.view;
  view.conv = conv;
  view.layout = layout;
  view.weight = packed.weight.data();
  view.double_scales = problem.scales.data();
  view.scale_count = static_cast<int64_t>(problem.scales.size());
  bool zero = true;
  for (int32_t zero_point : problem.zero_points) {
    zero = zero && zero_point == 0;
  }
  view.zero_points = zero ? nullptr : problem.zero_points.data();
  view.zero_point_count = static_cast<int64_t>(problem.zero_points.size());
  view.column_sums = packed.column_sums.data();
  view.bias = problem.bias.empty() ? nullptr : problem.bias.data();
}

// The real numbers that a convolution stands for, in float64: [batch, depth, height, width, out].
inline std::vector<double> convolve_reference(
    const Problem& problem, const RunInput& input, const Extent& size) {
  const Convolution& conv = problem.conv;
  const int64_t in_per_group = conv.in_channels_per_group();
  const int64_t out_per_group = conv.out_channels_per_group();
  std::vector<double> result;
  result.reserve(input.batch * size[0] * size[1] * size[2] * conv.out_channels);
  for (int64_t n = 0; n < input.batch; ++n) {
    for (int64_t od = 0; od < size[0]; ++od) {
      for (int64_t oh = 0; oh < size[1]; ++oh) {
        for (int64_t ow = 0; ow < size[2]; ++ow) {
          for (int64_t out = 0; out < conv.out_channels; ++out) {
            int64_t sum = 0;
            for (int64_t d = 0; d < conv.kernel[0]; ++d) {
              const int64_t id = od * conv.stride[0] - conv.padding[0] + d * conv.dilation[0];
              for (int64_t h = 0; h < conv.kernel[1]; ++h) {
                const int64_t ih = oh * conv.stride[1] - conv.padding[1] + h * conv.dilation[1];
                for (int64_t w = 0; w < conv.kernel[2]; ++w) {
                  const int64_t iw = ow * conv.stride[2] - conv.padding[2] + w * conv.dilation[2];
                  if (id < 0 || id >= input.size[0] || ih < 0 || ih >= input.size[1] || iw < 0 ||
                      iw >= input.size[2]) {
                    continue;  // real 0
                  }
                  const uint8_t* const pixel = input.data +
                      (((n * input.size[0] + id) * input.size[1] + ih) * input.size[2] + iw) *
                          conv.in_channels +
                      out / out_per_group * in_per_group;
                  for (int64_t in = 0; in < in_per_group; ++in) {
                    sum += (pixel[in] - input.zero_point) *
                        (problem.weight_at(out, in, d, h, w) - problem.zero_point(out));
                  }
                }
              }
            }
            result.push_back(
                static_cast<double>(sum) * input.scale * problem.scale(out) +
                (problem.bias.empty() ? 0.0 : problem.bias[out]));
          }
        }
      }
    }
  }
  return result;
}

}  // namespace qconv::native::test
