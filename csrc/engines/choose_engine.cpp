#include "engines/choose_engine.h"

#include <algorithm>
#include <atomic>

#include "conv/check.h"
#include "engines/engine_table.h"
#include "engines/verbose.h"
#include "engines/weight_source.h"

namespace qconv {
namespace {

std::atomic<DefaultEngineCallback> default_engine_callback{nullptr};

std::optional<std::string> default_engine() {
  const DefaultEngineCallback callback = default_engine_callback.load();
  const int64_t index = callback == nullptr ? -1 : callback();
  if (index < 0) {
    return std::nullopt;
  }
  const std::vector<std::string> names = engine_names();
  if (index >= static_cast<int64_t>(names.size())) {
    return std::nullopt;
  }
  return names[index];
}

// The engines to try, best first.
std::vector<const Engine*> candidates(const std::string& name, const ConvDescription& conv) {
  for (const Policy& policy : all_policies()) {
    if (name == policy.name) {
      return policy.preference(conv);
    }
  }
  for (const Engine* engine : all_engines()) {
    if (name == engine->name()) {
      return {engine};
    }
  }
  return {};
}

std::optional<std::string> why_not(const Engine& engine, const ConvDescription& conv) {
  if (std::optional<std::string> reason = engine.why_unavailable()) {
    return reason;
  }
  return engine.why_unsupported(conv);
}

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  std::string result;
  for (const std::string& part : parts) {
    result += (result.empty() ? "" : separator) + part;
  }
  return result;
}

std::string names_of_engines_that_do(const ConvDescription& conv) {
  std::vector<std::string> names;
  for (const Engine* engine : all_engines()) {
    if (!why_not(*engine, conv)) {
      names.emplace_back(engine->name());
    }
  }
  return names.empty() ? "none" : joined(names, ", ");
}

struct Choice {
  const Engine* engine;
  std::string why;
};

// The first of the engines that can. Raises NotImplementedError with the reasons where none can.
Choice first_that_can(
    std::string_view op, const std::string& name, const std::vector<const Engine*>& engines,
    const ConvDescription& conv) {
  std::vector<std::string> reasons;
  for (const Engine* engine : engines) {
    if (const std::optional<std::string> mistake = engine->wrong_setting()) {
      QCONV_CHECK_VALUE(false, op, *mistake);
    }
    const std::optional<std::string> reason = why_not(*engine, conv);
    if (!reason) {
      const std::string refusals = reasons.empty() ? "" : "; " + joined(reasons, "; ");
      return {engine, "asked for " + name + refusals};
    }
    reasons.push_back(std::string(engine->name()) + ": " + *reason);
  }
  QCONV_CHECK_IMPLEMENTED(
      false, op, "engine ", name, " can't run this ", conv.geometry.kind(), " (",
      joined(reasons, "; "), "); engines that can: ", names_of_engines_that_do(conv));
}

}  // namespace

std::string asked_for_engine(const EngineRequest& request) {
  if (request.argument) {
    return *request.argument;
  }
  const std::optional<std::string> from_context = default_engine();
  return from_context ? *from_context : request.saved_state.value_or("auto");
}

void check_engine_name(std::string_view op, const std::string& name) {
  const std::vector<std::string> names = engine_names();
  QCONV_CHECK_VALUE(
      std::find(names.begin(), names.end(), name) != names.end(), op, "engine must be one of ",
      joined(names, ", "), ", got '", name, "'");
}

EnginePacking pack_with_engine(
    std::string_view op, const EngineRequest& request,
    const std::shared_ptr<const ConvDescription>& conv, const at::Tensor& weight) {
  const std::string name = asked_for_engine(request);
  check_engine_name(op, name);
  const std::vector<const Engine*> engines = candidates(name, *conv);
  const Choice choice = first_that_can(op, name, engines, *conv);
  EnginePacking packing{
      choice.engine->pack(op, conv, WeightSource(op, *conv, weight)), choice.engine->name(), name};
  tell_of_pack(op, *conv, packing.engine, choice.why, *packing.packed);
  return packing;
}

void set_default_engine_callback(DefaultEngineCallback callback) {
  default_engine_callback.store(callback);
}

}  // namespace qconv
