#pragma once

#include "engines/engine.h"

namespace qconv {

// FBGEMM as it is built into libtorch_cpu. Its results equal those of PyTorch's fbgemm engine bit
// for bit wherever FBGEMM is right; where it isn't, exact_requantization.h computes instead.
const Engine& fbgemm_engine();

}  // namespace qconv
