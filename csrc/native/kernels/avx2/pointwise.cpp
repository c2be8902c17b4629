#include "native/kernels/pointwise.h"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx2,fma")

#include "native/kernels/pointwise_stages.h"

namespace qconv::native {

void pointwise_avx2(const PointwiseArguments& arguments) {
  pointwise(arguments);
}

}  // namespace qconv::native

#pragma GCC pop_options

#endif
