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

// The dense taps of a forward convolution that reach its input. A kernel that is far larger than
// the padding leaves of the image, as dilation makes it, lies for most outputs partly in that
// padding: there it would multiply zero points only. (For a kernel of 3x3, dilated by 18, on an
// image of 33x33 pixels that is three fifths of all multiply-adds.) So outputs are cut where a tap
// leaves the input, in each dimension where that pays.
//
// Since padding has the value of the input's zero point, outputs that lack taps have factors of
// their own if that isn't 0: see table(). These round otherwise than those of all taps, so that
// then the same outputs are cut for all kernels; else as suits each.
class ReachedTaps {
 public:
  // Of every output all taps.
  explicit ReachedTaps(const PackedView& packed, const Extent& output_size);
  ReachedTaps(
      const PackedView& packed, const RunInput& input, const Extent& output_size,
      const KernelSet& kernels);

  bool all() const { return combinations() == 1 && has_all({0, 0, 0}); }
  const std::array<TapCuts, 3>& cuts() const { return cuts_; }

  // Of factors (see factors.h), beside those of outputs with all taps: number 1 and up.
  int64_t tables() const { return needs_tables_ ? combinations() : 0; }
  // For outputs in these cuts of each dimension; 0: they have all taps, or their taps' zero points
  // are 0.
  int64_t table(const std::array<size_t, 3>& cut) const;
  // The convolution as it is for the outputs of a table. column_sums: [table][output channel].
  PackedView view(const PackedView& packed, int64_t table, const int32_t* column_sums) const;

  // The share of the multiply-adds of all taps that is left.
  double share() const;

  // Whether outputs in these cuts have a tap, numbered as the layout does.
  bool has_tap(const Layout& layout, const std::array<size_t, 3>& cut, int64_t tap) const {
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
  int64_t combinations() const {
    return static_cast<int64_t>(cuts_[0].count * cuts_[1].count * cuts_[2].count);
  }
  bool has_all(const std::array<size_t, 3>& cut) const;

  Extent kernel_{1, 1, 1};
  std::array<TapCuts, 3> cuts_;
  bool needs_tables_ = false;
};

}  // namespace qconv::native
