#pragma once

#include <string>
#include <tuple>
#include <vector>

namespace qconv {

// A row of qconv.engines(): name, is_policy, available, version, instruction_set, reason. See
// EngineRecord.
using EngineRow = std::tuple<std::string, bool, bool, std::string, std::string, std::string>;

std::vector<EngineRow> engines();

}  // namespace qconv
