#include "engines/engine.h"

namespace qconv {

bool PackedConv::run_fused(
    std::string_view, const RunShape&, const Activation&, const Epilogue&, const Output&) const {
  return false;
}

std::optional<std::string> Engine::why_unsupported_weight(
    const ConvDescription&, const WeightFacts&) const {
  return std::nullopt;
}

}  // namespace qconv
