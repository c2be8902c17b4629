#include "native/run/run_phases.h"

#include <algorithm>

namespace qconv::native {

namespace {

Layout unfolded(const Phase& phase) {
  Layout layout = phase.layout;
  layout.folds_width = false;
  layout.taps *= phase.conv.kernel[2];
  layout.depth = phase.conv.in_channels_per_group();
  layout.k_blocks = 1;
  layout.quads = layout.used_quads();
  return layout;
}

}  // namespace

RunPhases::RunPhases(const Convolution& conv, const Extent& output_size)
    : conv_(conv), output_size_(output_size), phases_(conv) {
  if (!conv.transposed) {
    positions_ = output_size;
    return;
  }
  for (size_t i = 0; i < positions_.size(); ++i) {
    reach_[i] = (conv.kernel[i] - 1) * conv.dilation[i] / conv.stride[i];
    int64_t end = 0;
    int64_t reached = 0;  // places modulo the stride
    for (int64_t number = 0; number < phases_.axis(i).count; ++number) {
      const RunPhaseAxis phase = axis(i, number);
      if (phase.outputs == 0) {
        continue;
      }
      ++reached;
      const bool first = positions_[i] == 0;
      first_position_[i] =
          first ? phase.first_position : std::min(first_position_[i], phase.first_position);
      end = std::max(end, phase.first_position + phase.outputs);
      positions_[i] = end - first_position_[i];
    }
    reach_all_outputs_ = reach_all_outputs_ && reached >= std::min(conv.stride[i], output_size[i]);
  }
}

RunPhaseAxis RunPhases::axis(size_t dimension, int64_t number) const {
  const int64_t size = output_size_[dimension];
  const int64_t padding = conv_.padding[dimension];
  RunPhaseAxis phase;
  if (!conv_.transposed) {
    phase.outputs = size;
    phase.first_input = -padding;
    return phase;
  }
  const int64_t stride = conv_.stride[dimension];
  const PhaseAxis& taps = phases_.axis(dimension);
  // The phase's (output + padding) modulo the stride, and how far its first tap reads back.
  const int64_t first_tap = number * conv_.dilation[dimension];
  const int64_t residue = first_tap % stride;
  const int64_t back = first_tap / stride + (taps.taps_of(number) - 1) * taps.input_step;
  phase.first_output = ((residue - padding) % stride + stride) % stride;
  phase.output_step = stride;
  if (phase.first_output < size) {
    phase.outputs = (size - 1 - phase.first_output) / stride + 1;
    phase.first_position = (phase.first_output + padding - residue) / stride;
    phase.first_input = phase.first_position - back;
  }
  return phase;
}

RunPhase RunPhases::at(int64_t index) const {
  RunPhase run;
  run.phase = phases_.at(index);
  if (unfolds_width_) {
    run.phase.layout = unfolded(run.phase);
  }
  for (size_t i = 0; i < run.axes.size(); ++i) {
    run.axes[i] = axis(i, run.phase.number[i]);
  }
  return run;
}

PhasePart RunPhases::part(
    const RunPhase& run, int64_t batch, int64_t plane, const Area& area) const {
  const Extent& stride = run.phase.conv.stride;
  // Of the first position of the area, which the phase may begin after.
  const auto output_at = [&](size_t i, int64_t place) {
    return first_position_[i] + place - run.axes[i].first_position;
  };
  const auto outputs_from = [&](size_t i, int64_t skipped, int64_t count) {
    return std::min(skipped + count, run.axes[i].outputs) - std::max<int64_t>(skipped, 0);
  };
  const int64_t depth = output_at(0, plane);
  const int64_t row = output_at(1, area.first_row);
  const int64_t column = output_at(2, area.first_column);
  PhasePart part;
  part.rows = outputs_from(1, row, area.rows);
  part.columns = outputs_from(2, column, area.columns);
  if (!run.has_outputs() || depth < 0 || depth >= run.axes[0].outputs || part.rows <= 0 ||
      part.columns <= 0) {
    return {};
  }
  part.row = std::max<int64_t>(-row, 0);
  part.column = std::max<int64_t>(-column, 0);
  const Extent output{depth, row + part.row, column + part.column};
  for (size_t i = 0; i < output.size(); ++i) {
    const RunPhaseAxis& axis = run.axes[i];
    part.first_input[i] = axis.first_input + output[i] * stride[i];
    const int64_t place = axis.first_output + output[i] * axis.output_step;
    part.first_pixel = (i == 0 ? batch : part.first_pixel) * output_size_[i] + place;
  }
  part.pixel_step = run.axes[2].output_step;
  part.row_step = run.axes[1].output_step * output_size_[2];
  return part;
}

}  // namespace qconv::native
