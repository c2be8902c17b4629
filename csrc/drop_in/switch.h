#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace qconv {

// Drop-in mode is on for the whole process while anybody holds a ticket. Tickets are given back in
// any order and from any thread; with the last one PyTorch is exactly as it was.
//
// engine: that drop-in mode packs with while no later ticket is out; nullopt for the default one.
// Raises ValueError for a name that isn't an engine's or policy's.
int64_t enable_drop_in(std::optional<std::string> engine);

// Raises ValueError for a ticket that isn't out.
void disable_drop_in(int64_t ticket);

}  // namespace qconv
