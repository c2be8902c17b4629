#pragma once

#include <cstddef>
#include <cstdint>

// 0: accepted at least without verification; -1: refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
