#pragma once

#include <cstddef>
#include <cstdint>

#include "native/convolution.h"
#include "native/format/phases.h"

namespace qconv::native {

// A packed buffer that was checked, as pointers into it: what packs, unpacks and runs.
struct PackedView {
  Convolution original;            // as it was packed
  Convolution conv;                // as it runs: with groups combined (see combine_groups)
  Layout layout;                   // of its first phase
  const int8_t* weight = nullptr;  // all phases; at least 64 readable bytes follow the last one

  // Per output channel; a scale or zero point of the whole tensor has a count of 1.
  const float* float_scales = nullptr;    // one of the two is null: scales that are all exactly
  const double* double_scales = nullptr;  // representable as float32 are stored as that
  int64_t scale_count = 0;
  const int32_t* zero_points = nullptr;  // null where all are 0
  int64_t zero_point_count = 0;
  // Per phase and output channel: the sum of its weights' integers.
  const int32_t* column_sums = nullptr;
  const float* bias = nullptr;  // null: no bias

  // As the weight was given; with one output channel the counts don't tell.
  bool scales_per_channel = false;
  bool zero_points_per_channel = false;

  double scale(int64_t channel) const {
    const int64_t i = scale_count == 1 ? 0 : channel;
    return float_scales != nullptr ? float_scales[i] : double_scales[i];
  }
  int32_t zero_point(int64_t channel) const {
    return zero_points == nullptr ? 0 : zero_points[zero_point_count == 1 ? 0 : channel];
  }
};

// One phase as a convolution of its own.
PackedView phase_view(const PackedView& packed, const Phase& phase);

// Checks a packed buffer, which may hold any bytes, and points into it; the caller keeps it alive
// and unchanged. Nothing outside of it is read, here or by a kernel that keeps to the view.
// verify: also compares the checksum, the column sums and the zeros between weights, which takes as
// long as reading it all; if they are wrong, so are results, and nothing worse. Raises
// std::invalid_argument that says which rule of docs/packed_format.md is broken.
PackedView view_packed(const void* data, size_t size, bool verify);

}  // namespace qconv::native
