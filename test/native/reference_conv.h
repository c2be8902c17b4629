#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "native/convolution.h"
#include "native/format/packed_view.h"
#include "native/format/phases.h"
#include "native/run/run.h"

namespace qconv::native::test {

// A convolution with its weights, as its user has them. Everything below is written from the
// definitions alone, and shares no code with what it tests.
struct Problem {
  Convolution conv;
  // [out, in / groups, depth, height, width]; transposed [in, out / groups, depth, height, width]
  std::vector<int8_t> weight;
  std::vector<double> scales;        // 1 or out
  std::vector<int32_t> zero_points;  // 1 or out
  std::vector<float> bias;           // 0 or out

  // in: of the group.
  size_t index_of(int64_t out, int64_t in, int64_t d, int64_t h, int64_t w) const {
    const Extent& kernel = conv.kernel;
    const int64_t out_per_group = conv.out_channels_per_group();
    const int64_t in_per_group = conv.in_channels_per_group();
    const int64_t pair = conv.transposed
        ? (out / out_per_group * in_per_group + in) * out_per_group + out % out_per_group
        : out * in_per_group + in;
    return static_cast<size_t>(((pair * kernel[0] + d) * kernel[1] + h) * kernel[2] + w);
  }
  int8_t weight_at(int64_t out, int64_t in, int64_t d, int64_t h, int64_t w) const {
    return weight[index_of(out, in, d, h, w)];
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

// Places of the kernel in one dimension, in the order in which its phases hold them: the first tap
// of a phase reads the earliest input.
inline std::vector<std::vector<int64_t>> phases_of(const Convolution& conv, int dimension) {
  std::vector<std::vector<int64_t>> phases;
  std::vector<int64_t> residues;
  for (int64_t tap = 0; tap < conv.kernel[dimension]; ++tap) {
    const int64_t residue =
        conv.transposed ? tap * conv.dilation[dimension] % conv.stride[dimension] : 0;
    size_t phase = 0;
    while (phase < residues.size() && residues[phase] != residue) {
      ++phase;
    }
    if (phase == residues.size()) {
      residues.push_back(residue);
      phases.emplace_back();
    }
    phases[phase].insert(conv.transposed ? phases[phase].begin() : phases[phase].end(), tap);
  }
  return phases;
}

// Calls use(taps of depth, height and width) for every phase.
template <typename Use>
void for_each_phase(const Convolution& conv, const Use& use) {
  for (const std::vector<int64_t>& depth : phases_of(conv, 0)) {
    for (const std::vector<int64_t>& height : phases_of(conv, 1)) {
      for (const std::vector<int64_t>& width : phases_of(conv, 2)) {
        use(depth, height, width);
      }
    }
  }
}

// Groups whose blocks of 16 output channels follow each other across groups.
inline bool has_grouped_layout(const Convolution& conv) {
  const int64_t in_per_group = conv.in_channels / conv.groups;
  const int64_t out_per_group = conv.out_channels / conv.groups;
  const bool several = conv.groups > 1 && !conv.transposed && in_per_group % 4 == 0;
  return several &&
      ((out_per_group == 16 && in_per_group <= 16) || (out_per_group == 8 && in_per_group <= 12) ||
       (out_per_group == 4 && in_per_group == 4));
}

// Packs one phase at the end of what is packed.
inline void pack_reference_phase(
    const Problem& problem, const Layout& layout, const std::vector<int64_t>& depth,
    const std::vector<int64_t>& height, const std::vector<int64_t>& width,
    ReferencePacked& packed) {
  const Convolution& conv = problem.conv;
  const int64_t in_per_group = conv.in_channels_per_group();
  const int64_t out_per_group = conv.out_channels_per_group();
  const auto kernel_height = static_cast<int64_t>(height.size());
  const auto kernel_width = static_cast<int64_t>(width.size());
  const size_t phase_start = packed.weight.size();
  const size_t first_sum = packed.column_sums.size();
  packed.weight.resize(phase_start + static_cast<size_t>(layout.weight_bytes), 0);
  packed.column_sums.resize(first_sum + static_cast<size_t>(conv.out_channels), 0);
  int8_t* const weight = packed.weight.data() + phase_start;
  for (int64_t out = 0; out < conv.out_channels; ++out) {
    const int64_t group = out / out_per_group;
    const int64_t block = out % out_per_group / kBlockColumns;
    const bool grouped = layout.kind == LayoutKind::kGrouped;
    const int64_t column = (grouped ? out : out % out_per_group) % kBlockColumns;
    const int64_t columns =
        !grouped && block + 1 == layout.blocks ? layout.last_columns : kBlockColumns;
    int64_t block_start = group * layout.group_bytes() + block * layout.block_bytes();
    if (grouped) {
      block_start = out / 16 * layout.block_bytes();
    }
    for (int64_t in = 0; in < in_per_group; ++in) {
      for (size_t d = 0; d < depth.size(); ++d) {
        for (int64_t h = 0; h < kernel_height; ++h) {
          for (int64_t w = 0; w < kernel_width; ++w) {
            const int8_t value = problem.weight_at(out, in, depth[d], height[h], width[w]);
            packed.column_sums[first_sum + out] += value;
            if (layout.kind == LayoutKind::kDepthwise) {
              const int64_t tap = (d * kernel_height + h) * kernel_width + w;
              weight[tap * ((conv.out_channels + 15) / 16 * 16) + out] = value;
              continue;
            }
            const int64_t row_groups =
                (kernel_height + layout.folded_rows - 1) / layout.folded_rows;
            int64_t tap = d * row_groups + h / layout.folded_rows;
            int64_t k = h % layout.folded_rows * in_per_group + in;
            if (layout.folds_width) {
              k += w * layout.folded_rows * in_per_group;
            } else {
              tap = tap * kernel_width + w;
            }
            const int64_t quad = tap * layout.quads_per_tap() + k / kQuad;
            weight[block_start + (quad * columns + column) * kQuad + k % kQuad] = value;
          }
        }
      }
    }
  }
}

// How many groups are packed as one.
inline int64_t groups_together(const Convolution& conv) {
  const int64_t outputs = conv.out_channels / conv.groups;
  const bool depthwise = conv.in_channels == conv.groups && outputs == 1;
  int64_t together = 1;
  for (int64_t count = 2; count * outputs <= 16 && !depthwise && !has_grouped_layout(conv);
       ++count) {
    together = conv.groups % count == 0 && conv.weights() <= 65536 ? count : together;
  }
  return together;
}

// The same convolution with the groups that are packed as one: weights from other groups' inputs
// are the zero point, a real 0.
inline Problem with_groups_together(const Problem& problem) {
  const int64_t together = groups_together(problem.conv);
  Problem result = problem;
  result.conv.groups /= together;
  result.weight.assign(static_cast<size_t>(result.conv.weights()), 0);
  const Extent& kernel = result.conv.kernel;
  const int64_t in_before = problem.conv.in_channels_per_group();
  const int64_t out_before = problem.conv.out_channels_per_group();
  const int64_t out_after = result.conv.out_channels_per_group();
  for (int64_t out = 0; out < result.conv.out_channels; ++out) {
    for (int64_t in = 0; in < result.conv.in_channels_per_group(); ++in) {
      const bool same_group = in / in_before == out % out_after / out_before;
      for (int64_t d = 0; d < kernel[0]; ++d) {
        for (int64_t h = 0; h < kernel[1]; ++h) {
          for (int64_t w = 0; w < kernel[2]; ++w) {
            result.weight[result.index_of(out, in, d, h, w)] = same_group
                ? problem.weight_at(out, in % in_before, d, h, w)
                : static_cast<int8_t>(problem.zero_point(out));
          }
        }
      }
    }
  }
  return result;
}

inline void pack_reference(const Problem& original, ReferencePacked& packed) {
  const Problem problem = with_groups_together(original);
  const Convolution& conv = problem.conv;
  const Phases phases(conv);
  packed.weight.clear();
  packed.column_sums.clear();
  int64_t phase = 0;
  for_each_phase(conv, [&](const auto& depth, const auto& height, const auto& width) {
    pack_reference_phase(problem, phases.at(phase++).layout, depth, height, width, packed);
  });
  packed.weight.resize(packed.weight.size() + 64, 0);
  PackedView& view = packed.view;
  view.original = original.conv;
  view.conv = conv;
  view.layout = phases.at(0).layout;
  view.weight = packed.weight.data();
  view.double_scales = original.scales.data();
  view.scale_count = static_cast<int64_t>(problem.scales.size());
  bool zero = true;
  for (int32_t zero_point : problem.zero_points) {
    zero = zero && zero_point == 0;
  }
  view.zero_points = zero ? nullptr : original.zero_points.data();
  view.zero_point_count = static_cast<int64_t>(problem.zero_points.size());
  view.column_sums = packed.column_sums.data();
  view.bias = original.bias.empty() ? nullptr : original.bias.data();
}

// The input that a tap of an output reads, in one dimension; -1 where there is none, which is a
// real 0. Transposed convolutions insert stride - 1 zeros between inputs.
inline int64_t input_of(
    const Convolution& conv, const RunInput& input, int dimension, int64_t output, int64_t tap) {
  int64_t place =
      output * conv.stride[dimension] - conv.padding[dimension] + tap * conv.dilation[dimension];
  if (conv.transposed) {
    place = output + conv.padding[dimension] - tap * conv.dilation[dimension];
    if (place % conv.stride[dimension] != 0) {
      return -1;
    }
    place /= conv.stride[dimension];
  }
  return place >= 0 && place < input.size[dimension] ? place : -1;
}

inline int32_t activation_at(const RunInput& input, int64_t place) {
  return input.type == ElementType::kInt8 ? static_cast<const int8_t*>(input.data)[place]
                                          : static_cast<const uint8_t*>(input.data)[place];
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
              const int64_t id = input_of(conv, input, 0, od, d);
              for (int64_t h = 0; h < conv.kernel[1]; ++h) {
                const int64_t ih = input_of(conv, input, 1, oh, h);
                for (int64_t w = 0; w < conv.kernel[2]; ++w) {
                  const int64_t iw = input_of(conv, input, 2, ow, w);
                  if (id < 0 || ih < 0 || iw < 0) {
                    continue;
                  }
                  const int64_t pixel =
                      (((n * input.size[0] + id) * input.size[1] + ih) * input.size[2] + iw) *
                          conv.in_channels +
                      out / out_per_group * in_per_group;
                  for (int64_t in = 0; in < in_per_group; ++in) {
                    sum += (activation_at(input, pixel + in) - input.zero_point) *
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
