#include "native/run/activation_window.h"

#include <algorithm>
#include <numeric>

#include "native/rounding.h"

namespace qconv::native {
namespace {

// Pixels at a distance of a large power of two share few sets of a first-level cache, which has 64
// of them: at this many bytes, 4 or 8.
constexpr int64_t kCrowdedDistance = 512;
constexpr int64_t kCacheLine = 64;

// How the places of one dimension that the taps of some outputs read are dealt out to planes.
struct SplitTaps {
  int64_t step = 1;    // inputs between the places of a plane
  int64_t places = 0;  // of a plane
  bool apart = false;  // every tap has a plane of its own, else those whose place modulo the step
                       // is the same share one

  struct Place {
    int64_t plane = 0;   // its first place
    int64_t number = 0;  // in the plane
  };
  Place place(int64_t tap_place) const {
    return apart ? Place{tap_place, 0} : Place{tap_place % step, tap_place / step};
  }
};

// Taps that dilation sets far apart read little that lies between them.
SplitTaps split_taps(int64_t kernel, int64_t dilation, int64_t step, int64_t outputs) {
  const int64_t planes = std::min(kernel, step / std::gcd(step, dilation));
  const int64_t shared = outputs + (kernel - 1) * dilation / step;
  const bool apart = kernel * outputs < planes * shared;
  return {step, apart ? outputs : shared, apart};
}

}  // namespace

ActivationWindow& ActivationWindow::of_thread() {
  static thread_local ActivationWindow window;
  return window;
}

void ActivationWindow::plan(const ConvRun& run, int64_t rows, int64_t columns) {
  conv_ = run.packed.conv;
  const bool unfolds = run.phases.unfolds_width();
  folds_width_ = run.packed.layout.folds_width && !unfolds;
  deals_columns_ = run.packed.layout.kind != LayoutKind::kGrouped && !unfolds;
  folded_rows_ = run.packed.layout.folded_rows;
  input_ = &run.input;
  input_bytes_ = run.input_bytes();
  flip_ = run.input_flip();
  zero_point_ = run.input_zero_point();
  widen_ = run.kernels.widen;
  output_rows_ = rows;
  output_columns_ = columns;
  whole_rows_ = columns == run.phases.positions()[2];
  planes_.clear();
  tap_offsets_.clear();
  first_taps_.assign(1, 0);
  if (conv_.transposed) {
    plan_phases(run.phases);
  } else {
    folds_width_ ? plan_folded() : plan_split();
  }
}

// What pads a whole row on its right also pads the next one on its left; output rows stay apart.
void ActivationWindow::share_columns() {
  if (!whole_rows_) {
    return;
  }
  const int64_t right = columns_ - conv_.padding[2] - input_->size[2];
  const int64_t most = std::min(conv_.padding[2], columns_ - output_columns_);
  shared_columns_ = std::clamp<int64_t>(right, 0, std::max<int64_t>(most, 0));
  columns_ -= shared_columns_;
}

void ActivationWindow::plan_split() {
  const SplitTaps row_taps =
      split_taps(conv_.kernel[1], conv_.dilation[1], conv_.stride[1], output_rows_);
  pixel_step_ = deals_columns_ ? 1 : conv_.stride[2];
  input_column_step_ = conv_.stride[2] / pixel_step_;
  const SplitTaps column_taps = split_taps(
      conv_.kernel[2], conv_.dilation[2], input_column_step_,
      (output_columns_ - 1) * pixel_step_ + 1);
  rows_ = row_taps.places;
  columns_ = round_up(column_taps.places, pixel_step_);  // so that rows can be joined to one run
  shared_columns_ = 0;
  if (conv_.stride[2] == 1 && !column_taps.apart) {
    share_columns();
  }
  pixel_values_ = conv_.in_channels;
  const int64_t element_bytes = widen_ == nullptr ? 1 : 2;
  if (!deals_columns_ && pixel_step_ * pixel_values_ * element_bytes % kCrowdedDistance == 0) {
    pixel_values_ += kCacheLine / element_bytes;
  }
  input_row_step_ = conv_.stride[1];
  for (int64_t d = 0; d < conv_.kernel[0]; ++d) {
    for (int64_t h = 0; h < conv_.kernel[1]; ++h) {
      for (int64_t w = 0; w < conv_.kernel[2]; ++w) {
        const SplitTaps::Place row = row_taps.place(h * conv_.dilation[1]);
        const SplitTaps::Place column = column_taps.place(w * conv_.dilation[2]);
        const Plane plane{d, row.plane, column.plane, 0};
        const auto found = std::find_if(planes_.begin(), planes_.end(), [&](const Plane& other) {
          return other.depth == d && other.row == plane.row && other.column == plane.column;
        });
        const int64_t index = found - planes_.begin();
        if (found == planes_.end()) {
          planes_.push_back(plane);
        }
        const int64_t pixel = row.number * columns_ + column.number;
        tap_offsets_.push_back(index * plane_values() + pixel * pixel_values_);
      }
    }
  }
}

void ActivationWindow::plan_folded() {
  const int64_t folded = folded_rows_;
  const int64_t row_groups = (conv_.kernel[1] + folded - 1) / folded;
  const int64_t row_distance = folded == 1 ? conv_.dilation[1] : folded;  // folding: dilation 1
  const int64_t last_place = (row_groups - 1) * row_distance;
  rows_ = output_rows_ + last_place / conv_.stride[1];
  columns_ = (output_columns_ - 1) * conv_.stride[2] + conv_.kernel[2];
  shared_columns_ = 0;
  // Whole strides, so that rows can be joined to one run.
  columns_ += (conv_.stride[2] - columns_ % conv_.stride[2]) % conv_.stride[2];
  pixel_values_ = folded * conv_.in_channels_per_group();
  pixel_step_ = conv_.stride[2];
  input_row_step_ = conv_.stride[1];
  input_column_step_ = 1;
  // As many row planes as the row groups of the kernel have places modulo the stride; planes of one
  // group lie together.
  int64_t row_planes = 0;
  for (int64_t h = 0; h < row_groups; ++h) {
    row_planes = std::max(row_planes, h * row_distance % conv_.stride[1] + 1);
  }
  for (int64_t group = 0; group < conv_.groups; ++group) {
    for (int64_t d = 0; d < conv_.kernel[0]; ++d) {
      for (int64_t row = 0; row < row_planes; ++row) {
        planes_.push_back({d, row, 0, group});
      }
    }
  }
  planes_per_group_ = conv_.kernel[0] * row_planes;
  for (int64_t d = 0; d < conv_.kernel[0]; ++d) {
    for (int64_t h = 0; h < row_groups; ++h) {
      const int64_t row = h * row_distance;
      tap_offsets_.push_back(
          (d * row_planes + row % conv_.stride[1]) * plane_values() +
          row / conv_.stride[1] * columns_ * pixel_values_);
    }
  }
}

// All phases read the same window: as a convolution over positions would whose kernel has no gaps
// in height and width, and in depth those planes that some tap reads.
void ActivationWindow::plan_phases(const RunPhases& phases) {
  const Extent& reach = phases.reach();
  const Extent dilation = conv_.dilation;
  const Extent stride = conv_.stride;
  conv_.stride = {1, 1, 1};
  conv_.dilation = {1, 1, 1};
  for (size_t i = 0; i < reach.size(); ++i) {
    conv_.padding[i] = reach[i] - phases.first_position()[i];
  }
  rows_ = output_rows_ + reach[1];
  columns_ = output_columns_ + reach[2];
  shared_columns_ = 0;
  share_columns();
  pixel_values_ = folds_width_ ? conv_.in_channels_per_group() : conv_.in_channels;
  pixel_step_ = 1;
  input_row_step_ = 1;
  input_column_step_ = 1;
  for (int64_t group = 0; group < (folds_width_ ? conv_.groups : 1); ++group) {
    // From the tap that reads the farthest back on.
    for (int64_t tap = conv_.kernel[0] - 1; tap >= 0; --tap) {
      const int64_t depth = reach[0] - tap * dilation[0] / stride[0];
      if (planes_.empty() || planes_.back().depth != depth || planes_.back().group != group) {
        planes_.push_back({depth, 0, 0, group});
      }
    }
  }
  planes_per_group_ = static_cast<int64_t>(planes_.size()) / (folds_width_ ? conv_.groups : 1);
  first_taps_.clear();
  for (int64_t i = 0; i < phases.count(); ++i) {
    first_taps_.push_back(static_cast<int64_t>(tap_offsets_.size()));
    const RunPhase phase = phases.at(i);
    if (phase.has_outputs()) {
      add_taps(phase, reach);
    }
  }
}

void ActivationWindow::add_taps(const RunPhase& run, const Extent& reach) {
  const Convolution& conv = run.phase.conv;
  // Of a tap, from the place that the farthest one reads.
  const auto place = [&](size_t i, int64_t tap) {
    return reach[i] + run.axes[i].first_input - run.axes[i].first_position + tap * conv.dilation[i];
  };
  for (int64_t d = 0; d < conv.kernel[0]; ++d) {
    const auto plane = std::lower_bound(
        planes_.begin(), planes_.begin() + planes_per_group_, place(0, d),
        [](const Plane& other, int64_t depth) { return other.depth < depth; });
    for (int64_t h = 0; h < conv.kernel[1]; ++h) {
      for (int64_t w = 0; w < (folds_width_ ? 1 : conv.kernel[2]); ++w) {
        const int64_t pixel = place(1, h) * columns_ + place(2, w);
        tap_offsets_.push_back((plane - planes_.begin()) * plane_values() + pixel * pixel_values_);
      }
    }
  }
}

int64_t ActivationWindow::bytes() const {
  const int64_t elements = static_cast<int64_t>(planes_.size()) * plane_values() + kReadableBeyond;
  return elements * (widen_ == nullptr ? 1 : 2);
}

int64_t ActivationWindow::group_offset(int64_t group) const {
  return folds_width_ ? group * planes_per_group_ * plane_values()
                      : group * conv_.in_channels_per_group();
}

}  // namespace qconv::native
