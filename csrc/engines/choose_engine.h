#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conv/description.h"
#include "engines/engine.h"

namespace qconv {

// Who wants which engine, by name; the first that has a wish gets it:
// argument, then the process's default (see set_default_engine_callback), then the saved state,
// then "auto".
struct EngineRequest {
  std::optional<std::string> argument;
  std::optional<std::string> saved_state;
};

struct EnginePacking {
  std::unique_ptr<const PackedConv> packed;
  std::string engine;
  std::string asked_for;  // the engine or policy that was asked for
};

// Packs with the engine asked for. weight: CheckedConv::weight.
// Raises ValueError for a name that isn't an engine's or policy's, NotImplementedError where the
// engine isn't available or doesn't support the convolution, with the reason and the engines that
// do.
EnginePacking pack_with_engine(
    std::string_view op, const EngineRequest& request,
    const std::shared_ptr<const ConvDescription>& conv, const at::Tensor& weight);

// Raises ValueError for a name that isn't an engine's or policy's.
void check_engine_name(std::string_view op, const std::string& name);

// The name that a request comes to.
std::string asked_for_engine(const EngineRequest& request);

// Gives the index in engine_names() of the engine that the caller's context asks for, or -1.
using DefaultEngineCallback = int64_t (*)();

// Python keeps the default engine, since it follows Python's contexts. nullptr: no default.
void set_default_engine_callback(DefaultEngineCallback callback);

}  // namespace qconv
