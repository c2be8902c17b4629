#include "native/kernels/depthwise_plan.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace qconv::native {
namespace {

// One way to deal the input rows out to bundles.
struct Candidate {
  int64_t output_rows = 1;
  bool first_row_last = false;  // the order of rows is 1, 2, ..., 0
  int64_t rest = 0;             // rows at the end of that order that aren't bundled with others
};

// A plan and the memory that it points to, which is kept from plan to plan.
class Planner {
 public:
  // Makes the plan. Returns how many instructions it takes for each output row and column, about.
  double make(const DepthwiseShape& shape, const Candidate& candidate) {
    plan_.shape = shape;
    plan_.output_rows = candidate.output_rows;
    plan_.input_rows = shape.kernel_rows + (candidate.output_rows - 1) * shape.row_step;
    bundle_rows(candidate);
    find_taps();
    return cost();
  }

  const DepthwisePlan& plan() const { return plan_; }
  bool holds(const DepthwiseShape& shape) const {
    return !bundles_.empty() && plan_.shape == shape;
  }

 private:
  void bundle_rows(const Candidate& candidate) {
    const int64_t lane_values = plan_.shape.lane_values;
    const int64_t rows = plan_.input_rows;
    bundles_.clear();
    int64_t next = 0;
    const auto add = [&](int64_t bundle_rows, int64_t span) {
      DepthwisePlan::Bundle bundle;
      bundle.span = span;
      for (int64_t end = next + bundle_rows; next < end; ++next) {
        const int64_t row = candidate.first_row_last ? (next + 1) % rows : next;
        for (int64_t column = 0; column < span; ++column) {
          bundle.sources[bundle.count++] = {row, column};
        }
      }
      bundles_.push_back(bundle);
    };
    while (rows - next > candidate.rest) {
      add(lane_values, 1);
    }
    while (next < rows) {
      const int64_t left = rows - next;
      if (lane_values == 4 && left >= 2) {
        add(left, left == 2 ? 2 : 1);
      } else {
        add(1, lane_values);
      }
    }
    plan_.bundles = bundles_.data();
    plan_.bundle_count = static_cast<int64_t>(bundles_.size());
  }

  void find_taps() {
    const DepthwiseShape& shape = plan_.shape;
    positions_.assign(static_cast<size_t>(shape.stride) * bundles_.size(), 0);
    for (auto& taps : taps_) {
      taps.clear();
    }
    for (size_t b = 0; b < bundles_.size(); ++b) {
      for (int64_t column = 0; column < shape.kernel_columns; column += bundles_[b].span) {
        DepthwisePlan::Tap tap;
        tap.bundle = static_cast<int64_t>(b);
        tap.column = column;
        const bool first = find_kernel_taps(tap, 0);
        const bool second = plan_.output_rows == 2 && find_kernel_taps(tap, 1);
        if (first || second) {
          taps_
              [first && second ? DepthwisePlan::kBoth
                   : first     ? DepthwisePlan::kFirst
                               : DepthwisePlan::kSecond]
                  .push_back(tap);
          const int64_t phase = column * shape.dilation % shape.stride;
          positions_[static_cast<size_t>(phase) * bundles_.size() + b] = 1;
        }
      }
    }
    plan_.positions = positions_.data();
    for (int users = 0; users < DepthwisePlan::kUsers; ++users) {
      plan_.taps[users] = taps_[users].data();
      plan_.tap_counts[users] = static_cast<int64_t>(taps_[users].size());
    }
  }

  // Returns whether there are any.
  bool find_kernel_taps(DepthwisePlan::Tap& tap, int64_t output_row) const {
    const DepthwiseShape& shape = plan_.shape;
    const DepthwisePlan::Bundle& bundle = bundles_[static_cast<size_t>(tap.bundle)];
    bool any = false;
    for (int64_t i = 0; i < bundle.count; ++i) {
      const int64_t row = bundle.sources[i].row - output_row * shape.row_step;
      const int64_t column = tap.column + bundle.sources[i].column;
      if (row >= 0 && row < shape.kernel_rows && column < shape.kernel_columns) {
        tap.kernel_taps[output_row][i] = row * shape.kernel_columns + column;
        any = true;
      }
    }
    return any;
  }

  double cost() const {
    // Instructions for the four vectors of a bundle: byte quads and word pairs.
    const bool words = plan_.shape.lane_values == 2;
    const double dot_cost = words ? 8 : 4;
    const double bundle_cost = words ? 6 : 8;
    const int64_t* const counts = plan_.tap_counts;
    const auto dots = static_cast<double>(
        2 * counts[DepthwisePlan::kBoth] + counts[DepthwisePlan::kFirst] +
        counts[DepthwisePlan::kSecond]);
    const auto bundles = static_cast<double>(std::count(positions_.begin(), positions_.end(), 1));
    return (dot_cost * dots + bundle_cost * bundles) / static_cast<double>(plan_.output_rows);
  }

  DepthwisePlan plan_;
  std::vector<DepthwisePlan::Bundle> bundles_;
  std::vector<DepthwisePlan::Tap> taps_[DepthwisePlan::kUsers];
  std::vector<uint8_t> positions_;
};

}  // namespace

const DepthwisePlan& plan_depthwise(const DepthwiseShape& shape) {
  thread_local Planner best;
  thread_local Planner other;
  if (best.holds(shape)) {
    return best.plan();
  }
  const int64_t most_rows = shape.row_step >= shape.kernel_rows ? 1 : shape.most_output_rows;
  double lowest_cost = 0;
  for (int64_t output_rows = 1; output_rows <= most_rows; ++output_rows) {
    const int64_t input_rows = shape.kernel_rows + (output_rows - 1) * shape.row_step;
    const int64_t fewest_rest = input_rows % shape.lane_values;
    const int64_t most_rest =
        shape.lane_values == 2 ? std::min(fewest_rest + 2, input_rows) : fewest_rest;
    for (int64_t rest = fewest_rest; rest <= most_rest; rest += shape.lane_values) {
      for (const bool first_row_last : {false, true}) {
        const double cost = other.make(shape, {output_rows, first_row_last, rest});
        if (lowest_cost == 0 || cost < lowest_cost) {
          std::swap(best, other);
          lowest_cost = cost;
        }
      }
    }
  }
  return best.plan();
}

uint8_t* depthwise_memory(int64_t bytes) {
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  thread_local std::vector<Line> lines;
  const auto count = static_cast<size_t>((bytes + 63) / 64);
  if (lines.size() < count) {
    lines.resize(count);
  }
  return lines.data()->bytes;
}

}  // namespace qconv::native
