#pragma once

#include "native/run/run.h"

namespace qconv::native::test {

// Three threads' parts, the last one first.
inline ParallelFor backwards() {
  return {
      [](int64_t count, ParallelFor::Body body, void* context) {
        for (int64_t i = count - 1; i >= 0; --i) {
          body(context, i, i + 1);
        }
      },
      3};
}

}  // namespace qconv::native::test
