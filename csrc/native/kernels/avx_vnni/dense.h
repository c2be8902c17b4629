#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

void dense_avx_vnni(const DenseArguments& arguments);

}  // namespace qconv::native
