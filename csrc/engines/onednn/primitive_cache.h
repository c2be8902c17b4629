#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "engines/onednn/cached_primitive.h"

namespace qconv::onednn {

// The primitives of one packed convolution that ran last, the latest first. Safe from any thread.
class PrimitiveCache {
 public:
  static constexpr size_t kLargestSize = 32;

  struct Entry {
    PrimitiveKey key;
    std::shared_ptr<const CachedPrimitive> primitive;  // null: oneDNN has none that is right
  };

  // Returns false where it isn't there.
  bool find(const PrimitiveKey& key, std::shared_ptr<const CachedPrimitive>& primitive);
  void insert(const PrimitiveKey& key, std::shared_ptr<const CachedPrimitive> primitive);
  std::vector<Entry> entries() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace qconv::onednn
