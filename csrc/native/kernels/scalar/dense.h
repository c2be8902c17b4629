#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

// Portable loops for any machine; what the other instruction sets are held to.
void dense_scalar(const DenseArguments& arguments);

}  // namespace qconv::native
