#include "native/run/flip_bits.h"

#include "native/cpu/vector_clones.h"

namespace qconv::native {
namespace {

QCONV_VECTOR_CLONES void flip_bytes(const uint8_t* from, uint8_t flip, int64_t count, uint8_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[i] ^ flip;
  }
}

QCONV_VECTOR_CLONES void flip_words(
    const uint16_t* from, uint16_t flip, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[i] ^ flip;
  }
}

}  // namespace

void flip_bits(const uint8_t* from, uint8_t flip, int64_t count, uint8_t* to) {
  flip_bytes(from, flip, count, to);
}

void flip_bits(const uint16_t* from, uint16_t flip, int64_t count, uint16_t* to) {
  flip_words(from, flip, count, to);
}

}  // namespace qconv::native
