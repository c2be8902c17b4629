#pragma once

#include <string>
#include <vector>

#include "engines/engine.h"

namespace qconv {

// Every engine, in the order in which messages and records name them.
const std::vector<const Engine*>& all_engines();

// A policy is asked for by name like an engine, and picks one for each convolution.
struct Policy {
  const char* name;
  // The engines to try, best first; the first that is available and supports the convolution packs.
  std::vector<const Engine*> (*preference)(const ConvDescription& conv);
};

const std::vector<Policy>& all_policies();

// What engine= and a saved state may name: "auto", the other policies, the engines.
std::vector<std::string> engine_names();

// One row of qconv.engines().
struct EngineRecord {
  std::string name;
  bool is_policy = false;
  bool available = true;
  // See Engine; empty for policies.
  std::string version;
  std::string instruction_set;
  // Why it isn't available; empty where it is.
  std::string reason;
};

std::vector<EngineRecord> engine_records();

}  // namespace qconv
