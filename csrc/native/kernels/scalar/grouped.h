#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

void grouped_scalar(const DenseArguments& arguments);

}  // namespace qconv::native
