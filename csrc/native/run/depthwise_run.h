#pragma once

#include <string>

#include "native/run/conv_run.h"

namespace qconv::native {

void run_depthwise(const ConvRun& run);

// How run_depthwise would go about it, in words.
std::string describe_depthwise(const ConvRun& run);

}  // namespace qconv::native
