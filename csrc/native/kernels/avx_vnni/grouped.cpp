// Grouped convolution with AVX-VNNI: tiles of avx2/grouped_tile.h. For a run of 3 taps, a step of
// 4 inputs is 3 loads of weights, 10 loads of activations, 10 vpermd where a block has several
// groups, and 24 vpdpbusd, 32 multiply-adds each. Peak: 2 vpdpbusd, 64 multiply-adds, a cycle.
#include "native/kernels/avx_vnni/grouped.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "native/format/layout.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/avx2/grouped_tile.h"
#include "native/kernels/avx_vnni/dot.h"

namespace qconv::native {
namespace {

struct GroupedDotVnni {
  using Element = uint8_t;

  static inline QCONV_INLINE void add(__m256i& sum, __m256i values, __m256i weights) {
    dot_vnni(sum, values, weights);
  }
};

}  // namespace

void grouped_avx_vnni(const DenseArguments& arguments) {
  grouped_unwidened<GroupedDotVnni>(arguments);
}

}  // namespace qconv::native

#undef QCONV_INLINE
#pragma GCC pop_options

#endif
