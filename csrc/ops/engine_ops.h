#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace qconv {

// A row of qconv.engines(): name, is_policy, available, version, instruction_set, reason. See
// EngineRecord.
using EngineRow = std::tuple<std::string, bool, bool, std::string, std::string, std::string>;

std::vector<EngineRow> engines();

// Frees the memory that engines keep between runs, of the calling thread and of PyTorch's intra-op
// threads. Returns how many bytes.
int64_t release_scratch();

}  // namespace qconv
