#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qconv {

// RFC 4648, section 4: the standard alphabet, padded with '='.
std::string base64_encode(std::string_view bytes);

// The bytes, or nullopt where the text is not what base64_encode writes.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace qconv
