#pragma once

#include "native/kernels/depthwise.h"

namespace qconv::native {

// The AVX-VNNI kernel with the dot product in AVX512's encoding, so that machines without AVX-VNNI
// can test all the rest of it.
void depthwise_avx_vnni_evex(const DepthwiseArguments& arguments);

}  // namespace qconv::native
