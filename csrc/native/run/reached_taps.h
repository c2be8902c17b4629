#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "native/format/packed_view.h"
#include "native/kernels/kernel_set.h"
#include "native/run/run.h"

namespace qconv::native {

// Neighbouring outputs in one dimension with the same taps inside of the input.
struct TapCut {
  int64_t outputs = 0;
  int64_t first_tap = 0;
  int64_t taps = 0;
};

// The cuts of one dimension, in the order of its outputs: one that has all taps if there is nothing
// to gain by more.
struct TapCuts {
  static constexpr size_t kMost = 8;

  size_t count = 0;
  std::array<TapCut, kMost> cut;

  // Calls use(number of a cut, first output, outputs) for what outputs [begin, end) have of each.
  template <typename Use>
  void for_each_within(int64_t begin, int64_t end, const Use& use) const {
    int64_t first = 0;
    for (size_t i = 0; i < count; ++i) {
      const int64_t last = first + cut[i].outputs;
      const int64_t from = first < begin ? begin : first;
      const int64_t to = last < end ? last : end;
      if (from < to) {
        use(i, from, to - from);
      }
      first = last;
    }
  }
};

// By depth, row and column, the numbers of the cuts that some outputs lie in.
using ReachedCut = std::array<size_t, 3>;

// The dense taps of a forward convolution that reach its input. A kernel that is far larger than
// the padding leaves of the image, as dilation makes it, lies for most outputs partly in that
// padding: there it would multiply zero points only. (For a kernel of 3x3, dilated by 18, on an
// image of 33x33 pixels that is three fifths of all multiply-adds.) So outputs are cut where a tap
// leaves the input, in each dimension where that pays.
//
// Padding has the value of the input's zero point: what left-out taps add to the sums is the same
// for all outputs of a cut (see left_out_sums.h), so that results are those of all taps.
class ReachedTaps {
 public:
  // Of every output all taps.
  explicit ReachedTaps(const PackedView& packed, const Extent& output_size);
  ReachedTaps(
      const PackedView& packed, const RunInput& input, const Extent& output_size,
      const KernelSet& kernels);

  bool all() const { return combinations() == 1 && has_all({0, 0, 0}); }
  const std::array<TapCuts, 3>& cuts() const { return cuts_; }

  // Whether no tap that is left reads the padding, of any output.
  bool stay_inside(const Convolution& conv, const Extent& input_size) const;

  // Of cuts of each dimension: how many, the number of one, and whether its outputs have all taps.
  int64_t combinations() const {
    return static_cast<int64_t>(cuts_[0].count * cuts_[1].count * cuts_[2].count);
  }
  int64_t number(const ReachedCut& cut) const {
    return static_cast<int64_t>((cut[0] * cuts_[1].count + cut[1]) * cuts_[2].count + cut[2]);
  }
  bool has_all(const ReachedCut& cut) const;

  // The share of the multiply-adds of all taps that is left.
  double share() const;

  // Whether outputs in these cuts have a tap, numbered as the layout does.
  bool has_tap(const Layout& layout, const ReachedCut& cut, int64_t tap) const {
    const int64_t width = layout.folds_width ? 1 : kernel_[2];
    const Extent place{tap / width / kernel_[1], tap / width % kernel_[1], tap % width};
    const size_t dimensions = layout.folds_width ? 2 : 3;
    for (size_t i = 0; i < dimensions; ++i) {
      const TapCut& some = cuts_[i].cut[cut[i]];
      if (place[i] < some.first_tap || place[i] >= some.first_tap + some.taps) {
        return false;
      }
    }
    return true;
  }

 private:
  Extent kernel_{1, 1, 1};
  std::array<TapCuts, 3> cuts_;
};

}  // namespace qconv::native
