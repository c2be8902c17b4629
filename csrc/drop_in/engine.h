#pragma once

#include <optional>
#include <string>

namespace qconv {

// The engine or policy that drop-in mode packs with, as the argument `engine` of this package's own
// prepack ops; nullopt: the default one. Whoever turns the mode on may name one (switch.h).
std::optional<std::string> drop_in_engine();

// Takes a name in engine_names().
void set_drop_in_engine(const std::optional<std::string>& name);

}  // namespace qconv
