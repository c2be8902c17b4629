#pragma once

#include "native/kernels/depthwise.h"

namespace qconv::native {

// Portable loops for any machine; what the other instruction sets are held to.
void depthwise_scalar(const DepthwiseArguments& arguments);

}  // namespace qconv::native
