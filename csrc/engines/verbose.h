#pragma once

#include <string>
#include <string_view>

#include "engines/engine.h"

namespace qconv {

// With the environment variable TORCH_QCONV_VERBOSE=1, read once: a line on stderr for everything
// that is packed, and for the first run of everything packed on an input of each size.

// why: how `engine` came to pack it.
void tell_of_pack(
    std::string_view op, const ConvDescription& conv, const std::string& engine,
    const std::string& why, const PackedConv& packed);

void tell_of_run(std::string_view op, const PackedConv& packed, const RunShape& shape);

}  // namespace qconv
