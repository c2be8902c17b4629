#include "engines/engine.h"

namespace qconv {

bool PackedConv::run_fused(
    std::string_view, const RunShape&, const Activation&, const Epilogue&, const Output&) const {
  return false;
}

std::string PackedConv::describe_run(const RunShape&) const {
  return "";
}

}  // namespace qconv
