#include "native/run/unreached_pixels.h"

#include <algorithm>

namespace qconv::native {

UnreachedPixels::UnreachedPixels(const RunPhases& phases) : size_(phases.output_size()) {
  for (size_t i = 0; i < reached_.size(); ++i) {
    const int64_t places = std::min(phases.axis(i, 0).output_step, size_[i]);
    reached_[i].assign(static_cast<size_t>(places), false);
    for (int64_t number = 0; number < phases.taps(i).count; ++number) {
      const RunPhaseAxis axis = phases.axis(i, number);
      if (axis.outputs > 0) {
        reached_[i][static_cast<size_t>(axis.first_output)] = true;
      }
    }
  }
}

}  // namespace qconv::native
