#pragma once

#include "engines/engine.h"

namespace qconv {

// QNNPACK as it is built into libtorch_cpu. Its results equal those of PyTorch's qnnpack engine bit
// for bit wherever that is right.
const Engine& qnnpack_engine();

}  // namespace qconv
