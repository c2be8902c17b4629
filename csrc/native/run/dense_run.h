#pragma once

#include "native/run/conv_run.h"

namespace qconv::native {

void run_dense(const ConvRun& run);

}  // namespace qconv::native
