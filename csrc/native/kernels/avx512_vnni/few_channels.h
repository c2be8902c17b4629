#pragma once

#include "native/kernels/dense.h"

namespace qconv::native {

// What dense_avx512_vnni leaves to other loops: convolutions to few output channels. Returns
// whether this is one; else nothing is done.
bool dense_few_channels_avx512_vnni(const DenseArguments& arguments);

}  // namespace qconv::native
