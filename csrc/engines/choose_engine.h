#pragma once

#include <optional>
#include <string>

#include "conv/description.h"
#include "engines/engine.h"

namespace qconv {

// The engine that packs this convolution: the one asked for, else the default ("auto").
// Raises ValueError for a name that isn't an engine's, NotImplementedError where the engine isn't
// available or doesn't support the convolution, with the reason and the engines that do.
const Engine& choose_engine(
    const std::string& op, const std::optional<std::string>& requested,
    const ConvDescription& conv);

}  // namespace qconv
