#include "native/run/reached_taps.h"

#include <algorithm>

#include "native/rounding.h"
#include "native/run/row_runs.h"

namespace qconv::native {
namespace {

// What cuts must save, of all.
constexpr double kLeastGain = 0.02;
// What a kernel's call costs beside its pixels, about.
constexpr double kCallMicroseconds = 0.15;
// What sums over the weights of a tap cost, in pixels with that tap: the weights are read once.
constexpr double kSumPixels = 4;

TapCuts uncut(int64_t outputs, int64_t taps) {
  TapCuts cuts;
  cuts.count = 1;
  cuts.cut[0] = {outputs, 0, taps};
  return cuts;
}

// The cuts of a dimension; uncut if there are too many. Outputs without any tap keep one.
TapCuts cuts_of(const Convolution& conv, size_t i, int64_t inputs, int64_t outputs) {
  const int64_t kernel = conv.kernel[i];
  const int64_t stride = conv.stride[i];
  const int64_t dilation = conv.dilation[i];
  TapCuts cuts;
  for (int64_t output = 0; output < outputs;) {
    // Of tap 0; tap t reads the input t * dilation after it.
    const int64_t first_input = output * stride - conv.padding[i];
    const int64_t first = std::max<int64_t>(ceil_divide(-first_input, dilation), 0);
    const int64_t end = std::clamp<int64_t>(ceil_divide(inputs - first_input, dilation), 0, kernel);
    // The next output that gains its first tap, or loses its last one.
    int64_t next = outputs;
    if (first > 0) {
      const int64_t gained = conv.padding[i] - (std::min(first, kernel) - 1) * dilation;
      next = std::min(next, ceil_divide(gained, stride));
    }
    if (end > 0) {
      const int64_t lost = inputs + conv.padding[i] - (end - 1) * dilation;
      next = std::min(next, ceil_divide(lost, stride));
    }
    next = std::max(next, output + 1);
    TapCut cut{next - output, std::min(first, kernel - 1), 0};
    cut.taps = std::max<int64_t>(end - cut.first_tap, 1);
    output = next;
    TapCut* const last = cuts.count == 0 ? nullptr : &cuts.cut[cuts.count - 1];
    if (last != nullptr && last->first_tap == cut.first_tap && last->taps == cut.taps) {
      last->outputs += cut.outputs;
    } else if (cuts.count == TapCuts::kMost) {
      return uncut(outputs, kernel);
    } else {
      cuts.cut[cuts.count++] = cut;
    }
  }
  return cuts.count == 0 ? uncut(outputs, kernel) : cuts;
}

// Taps that the outputs of a dimension have, all together.
double taps_of(const TapCuts& cuts) {
  double taps = 0;
  for (size_t i = 0; i < cuts.count; ++i) {
    taps += static_cast<double>(cuts.cut[i].outputs) * static_cast<double>(cuts.cut[i].taps);
  }
  return taps;
}

// Taps over whose weights sums are needed: several combinations of cuts have all of them together.
double summed_taps(const std::array<TapCuts, 3>& cuts) {
  int64_t taps = 1;
  for (const TapCuts& some : cuts) {
    int64_t first = some.cut[0].first_tap;
    int64_t end = first;
    for (size_t i = 0; i < some.count; ++i) {
      first = std::min(first, some.cut[i].first_tap);
      end = std::max(end, some.cut[i].first_tap + some.cut[i].taps);
    }
    taps *= end - first;
  }
  return static_cast<double>(taps);
}

// A kernel, as far as cuts cost or save it time.
struct Model {
  RunTraits runs;
  double multiply_adds = 0;  // a microsecond
};

// What a plane costs whose rows and columns are cut so, in pixels with one tap.
double plane_cost(
    const Convolution& conv, const Model& model, const TapCuts& rows, const TapCuts& columns) {
  const double call = kCallMicroseconds * model.multiply_adds /
      static_cast<double>(conv.in_channels_per_group() * conv.out_channels_per_group());
  int64_t pitch = conv.padding[2];
  for (size_t w = 0; w < columns.count; ++w) {
    pitch += columns.cut[w].outputs;
  }
  double cost = 0;
  for (size_t h = 0; h < rows.count; ++h) {
    for (size_t w = 0; w < columns.count; ++w) {
      const RowRuns runs =
          plan_row_runs(model.runs, rows.cut[h].outputs, columns.cut[w].outputs, pitch);
      const int64_t taps = rows.cut[h].taps * columns.cut[w].taps;
      cost += static_cast<double>(runs.pixels * taps) + static_cast<double>(runs.count) * call;
    }
  }
  return cost;
}

}  // namespace

ReachedTaps::ReachedTaps(const PackedView& packed, const Extent& output_size)
    : kernel_(packed.conv.kernel) {
  for (size_t i = 0; i < cuts_.size(); ++i) {
    cuts_[i] = uncut(output_size[i], kernel_[i]);
  }
}

ReachedTaps::ReachedTaps(
    const PackedView& packed, const RunInput& input, const Extent& output_size,
    const KernelSet& kernels)
    : ReachedTaps(packed, output_size) {
  const Convolution& conv = packed.conv;
  const Layout& layout = packed.layout;
  if (conv.transposed || layout.kind != LayoutKind::kDense || layout.folded_rows != 1 ||
      conv.taps() == 1 || conv.padding == Extent{0, 0, 0}) {
    return;
  }
  const std::array<TapCuts, 3> none = cuts_;
  const TapCuts depths = cuts_of(conv, 0, input.size[0], output_size[0]);
  const TapCuts rows = cuts_of(conv, 1, input.size[1], output_size[1]);
  const TapCuts columns =
      layout.folds_width ? none[2] : cuts_of(conv, 2, input.size[2], output_size[2]);
  if (taps_of(depths) * taps_of(rows) * taps_of(columns) >
      (1 - kLeastGain) * taps_of(none[0]) * taps_of(none[1]) * taps_of(none[2])) {
    return;
  }
  const Model model{kernels.dense_runs, kernels.dense_speed.multiply_adds};
  const auto cost = [&](const std::array<TapCuts, 3>& cuts) {
    return static_cast<double>(input.batch) * taps_of(cuts[0]) *
        plane_cost(conv, model, cuts[1], cuts[2]);
  };
  const bool pads_zeros = input.zero_point == smallest_of(input.type);
  double least = cost(none) * (1 - kLeastGain);
  for (const TapCuts& some_rows : {none[1], rows}) {
    for (const TapCuts& some_columns : {none[2], columns}) {
      const std::array<TapCuts, 3> cuts{depths, some_rows, some_columns};
      const double some = cost(cuts) + (pads_zeros ? 0 : kSumPixels * summed_taps(cuts));
      if (some < least) {
        least = some;
        cuts_ = cuts;
      }
    }
  }
}

bool ReachedTaps::has_all(const ReachedCut& cut) const {
  for (size_t i = 0; i < cut.size(); ++i) {
    if (cuts_[i].cut[cut[i]].taps != kernel_[i]) {
      return false;
    }
  }
  return true;
}

bool ReachedTaps::stay_inside(const Convolution& conv, const Extent& input_size) const {
  for (size_t i = 0; i < cuts_.size(); ++i) {
    int64_t output = 0;
    for (size_t c = 0; c < cuts_[i].count; ++c) {
      const TapCut& cut = cuts_[i].cut[c];
      const int64_t first_input =
          output * conv.stride[i] - conv.padding[i] + cut.first_tap * conv.dilation[i];
      const int64_t last_input =
          first_input + (cut.outputs - 1) * conv.stride[i] + (cut.taps - 1) * conv.dilation[i];
      if (first_input < 0 || last_input >= input_size[i]) {
        return false;
      }
      output += cut.outputs;
    }
  }
  return true;
}

double ReachedTaps::share() const {
  double share = 1;
  for (size_t i = 0; i < cuts_.size(); ++i) {
    const TapCuts& cuts = cuts_[i];
    int64_t outputs = 0;
    for (size_t c = 0; c < cuts.count; ++c) {
      outputs += cuts.cut[c].outputs;
    }
    share *= outputs == 0 ? 1 : taps_of(cuts) / static_cast<double>(outputs * kernel_[i]);
  }
  return share;
}

}  // namespace qconv::native
