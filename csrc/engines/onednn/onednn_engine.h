#pragma once

#include "engines/engine.h"

namespace qconv {

// Defined in onednn_engine.cpp, or in built_without_onednn.cpp where setup.py found no oneDNN.
const Engine& onednn_engine();

}  // namespace qconv
