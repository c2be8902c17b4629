#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

// For a process that request_amx() allows to use tiles.
void dense_amx_int8(const DenseArguments& arguments);

}  // namespace qconv::native
