#include "engines/choose_engine.h"

#include <array>

#include "conv/check.h"
#include "engines/fbgemm/fbgemm_engine.h"

namespace qconv {
namespace {

// Every engine, in the order in which "auto" prefers them.
std::array<const Engine*, 1> all_engines() {
  return {&fbgemm_engine()};
}

std::optional<std::string> why_not(const Engine& engine, const ConvDescription& conv) {
  std::optional<std::string> reason = engine.why_unavailable();
  return reason ? reason : engine.why_unsupported(conv);
}

std::string names_of_engines_that_do(const ConvDescription& conv) {
  std::string names;
  for (const Engine* engine : all_engines()) {
    if (!why_not(*engine, conv)) {
      names += (names.empty() ? "" : ", ") + std::string(engine->name());
    }
  }
  return names.empty() ? "none" : names;
}

std::string valid_names() {
  std::string names = "auto";
  for (const Engine* engine : all_engines()) {
    names += std::string(", ") + engine->name();
  }
  return names;
}

}  // namespace

const Engine& choose_engine(
    const std::string& op, const std::optional<std::string>& requested,
    const ConvDescription& conv) {
  const std::string name = requested.value_or("auto");
  std::string reasons;
  for (const Engine* engine : all_engines()) {
    if (name != "auto" && name != engine->name()) {
      continue;
    }
    const std::optional<std::string> reason = why_not(*engine, conv);
    if (!reason) {
      return *engine;
    }
    reasons += (reasons.empty() ? "" : "; ") + std::string(engine->name()) + ": " + *reason;
  }
  QCONV_CHECK_VALUE(
      !reasons.empty(), op, "engine must be one of ", valid_names(), ", got '", name, "'");
  QCONV_CHECK_IMPLEMENTED(
      false, op, "engine ", name, " can't run this ", conv.geometry.kind(), " (", reasons,
      "); engines that can: ", names_of_engines_that_do(conv));
}

}  // namespace qconv
