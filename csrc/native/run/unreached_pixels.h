#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "native/run/run_phases.h"

namespace qconv::native {

// The output pixels of a transposed convolution that are in no phase, as no tap reaches them: those
// between the inputs where the stride is larger than the kernel, or where the kernel's holes leave
// them out.
class UnreachedPixels {
 public:
  explicit UnreachedPixels(const RunPhases& phases);

  // Of the output, in all planes of all images.
  int64_t rows(int64_t batch) const { return size_[2] == 0 ? 0 : batch * size_[0] * size_[1]; }

  // Calls use(first pixel, count, step) for all of them.
  template <typename Use>
  void for_each_run(int64_t batch, const Use& use) const {
    for (int64_t row = 0; row < rows(batch); ++row) {
      for_each_run_in_row(row, use);
    }
  }

  // The same for those in one row of the output.
  template <typename Use>
  void for_each_run_in_row(int64_t row, const Use& use) const {
    const int64_t first = row * size_[2];
    if (!is_reached(0, row / size_[1] % size_[0]) || !is_reached(1, row % size_[1])) {
      use(first, size_[2], int64_t{1});
      return;
    }
    const auto places = static_cast<int64_t>(reached_[2].size());
    for (int64_t place = 0; place < places; ++place) {
      if (!is_reached(2, place)) {
        use(first + place, (size_[2] - 1 - place) / places + 1, places);
      }
    }
  }

 private:
  bool is_reached(size_t dimension, int64_t output) const {
    const std::vector<bool>& reached = reached_[dimension];
    return reached[static_cast<size_t>(output) % reached.size()];
  }

  const Extent size_;                         // of the output
  std::array<std::vector<bool>, 3> reached_;  // of each place modulo the stride
};

}  // namespace qconv::native
