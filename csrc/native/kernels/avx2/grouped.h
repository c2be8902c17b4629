#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

// Takes activations widened to uint16 (see widen.h).
void grouped_avx2(const DenseArguments& arguments);

// Takes uint8 activations, none above 127.
void grouped_below_128_avx2(const DenseArguments& arguments);

}  // namespace qconv::native
