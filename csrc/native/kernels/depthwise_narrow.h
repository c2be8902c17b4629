#pragma once

#include "native/kernels/depthwise.h"

namespace qconv::native {

constexpr int64_t kNarrowChannels = 16;

// For kernels whose shortest vectors are kNarrowChannels bytes, and for fewer channels than that:
// calls the kernel on copies of the input whose pixels have so many channels.
void depthwise_narrow(const DepthwiseArguments& arguments, DepthwiseKernel kernel);

}  // namespace qconv::native
