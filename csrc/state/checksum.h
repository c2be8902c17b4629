#pragma once

#include <cstdint>
#include <string_view>

namespace qconv {

// FNV-1a over 64-bit words (Fowler, Noll, Vo; offset basis and prime of the 64-bit variant), the
// last word padded with zeros. Each step is a bijection of the running value, so a single changed
// word always changes the result. It guards against damage, not against an attacker.
// start: the checksum of what comes before, where there is something.
inline constexpr int64_t kChecksumStart = static_cast<int64_t>(0xcbf29ce484222325);
int64_t checksum(std::string_view bytes, int64_t start = kChecksumStart);

}  // namespace qconv
