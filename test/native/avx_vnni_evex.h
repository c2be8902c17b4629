#pragma once

#include "native/kernels/dense.h"
#include "native/kernels/depthwise.h"

namespace qconv::native {

// The kernels of AVX-VNNI with its one instruction in the encoding of AVX512-VNNI (with VL), so
// that machines that have only this one can test all the rest of them.
void dense_avx_vnni_evex(const DenseArguments& arguments);
void grouped_avx_vnni_evex(const DenseArguments& arguments);
void depthwise_avx_vnni_evex(const DepthwiseArguments& arguments);

}  // namespace qconv::native
