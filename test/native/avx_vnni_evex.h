#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

// The kernel of AVX-VNNI with its one instruction in the encoding of AVX512-VNNI (with VL), so that
// machines that have only this one can test it.
void dense_avx_vnni_evex(const DenseArguments& arguments);

}  // namespace qconv::native
