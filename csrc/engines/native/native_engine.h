#pragma once

#include "engines/engine.h"

namespace qconv {

// This package's own kernels (csrc/native), the same results on every instruction set.
const Engine& native_engine();

}  // namespace qconv
