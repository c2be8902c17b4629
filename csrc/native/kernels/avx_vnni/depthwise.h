#pragma once

#include "native/kernels/depthwise.h"

namespace qconv::native {

void depthwise_avx_vnni(const DepthwiseArguments& arguments);

}  // namespace qconv::native
