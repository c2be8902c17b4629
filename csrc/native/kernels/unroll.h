#pragma once

#include <utility>

namespace qconv::native {

// An index that is known at compile time, as a type.
template <int kIndex>
struct Index {
  static constexpr int value = kIndex;
  constexpr operator int() const { return kIndex; }
};

// Calls body(Index<0>(), ..., Index<kCount - 1>()). gcc keeps an array of vectors in registers only
// if every index into it is a constant before it unrolls loops. Kernel files include this header
// below their target pragma, so that it can be inlined there; it is never compiled on its own.
template <int kCount, typename Body>
inline __attribute__((always_inline)) void unrolled(const Body& body) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    (body(Index<kIndex>()), ...);
  }(std::make_integer_sequence<int, kCount>());
}

}  // namespace qconv::native
