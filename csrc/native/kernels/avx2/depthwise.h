#pragma once

#include "native/kernels/depthwise.h"

namespace qconv::native {

void depthwise_avx2(const DepthwiseArguments& arguments);

}  // namespace qconv::native
