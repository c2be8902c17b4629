#pragma once

#include <string>

#include "native/run/conv_run.h"

namespace qconv::native {

void run_dense(const ConvRun& run);

// How run_dense would go about it, in words.
std::string describe_dense(const ConvRun& run);

}  // namespace qconv::native
