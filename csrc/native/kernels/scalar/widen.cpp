#include "native/kernels/widen.h"

namespace qconv::native {

void widen_activations(const uint8_t* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[i];
  }
}

}  // namespace qconv::native
