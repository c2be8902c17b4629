#include "state/checksum.h"

#include <algorithm>
#include <cstring>

namespace qconv {

int64_t checksum(std::string_view bytes, int64_t start) {
  auto hash = static_cast<uint64_t>(start);
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof(word), bytes.size() - i));
    hash = (hash ^ word) * 0x100000001b3;
  }
  return static_cast<int64_t>(hash);
}

}  // namespace qconv
