#pragma once

#include <cstdint>
#include <string_view>

namespace qconv {

// FNV-1a over 64-bit words (Fowler, Noll, Vo; offset basis and prime of the 64-bit variant), the
// last word padded with zeros. Each step is a bijection of the running value, so a single changed
// word always changes the result. It guards against damage, not against an attacker.
int64_t checksum(std::string_view bytes);

}  // namespace qconv
