#pragma once

#include <optional>
#include <string>

#include "conv/geometry.h"

namespace qconv {

// Why a convolution is too large for a library that counts with 32 bits: the packed weight, and the
// extents of a kernel with its padding. Nullopt where it isn't.
std::optional<std::string> why_too_large(const std::string& library, const ConvGeometry& geometry);

}  // namespace qconv
