#pragma once

#include <type_traits>

#include "native/kernels/store.h"

namespace qconv::native {

// Calls body(what is stored, known at compile time). Included as unroll.h is, below a target
// pragma.
template <typename Body>
inline __attribute__((always_inline)) void with_store(Store store, const Body& body) {
  switch (store) {
    case Store::kSums:
      return body(std::integral_constant<Store, Store::kSums>());
    case Store::kBytes:
      return body(std::integral_constant<Store, Store::kBytes>());
    case Store::kBytesAdded:
      return body(std::integral_constant<Store, Store::kBytesAdded>());
  }
}

}  // namespace qconv::native
