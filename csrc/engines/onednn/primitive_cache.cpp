#include "engines/onednn/primitive_cache.h"

#include <algorithm>

namespace qconv::onednn {

bool PrimitiveCache::find(
    const PrimitiveKey& key, std::shared_ptr<const CachedPrimitive>& primitive) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(
      entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) {
    return false;
  }
  std::rotate(entries_.begin(), found, found + 1);
  primitive = entries_.front().primitive;
  return true;
}

void PrimitiveCache::insert(
    const PrimitiveKey& key, std::shared_ptr<const CachedPrimitive> primitive) {
  // Another thread may have inserted the same in the meantime; the older one then ages away.
  const std::lock_guard lock(mutex_);
  if (entries_.size() == kLargestSize) {
    entries_.pop_back();
  }
  entries_.insert(entries_.begin(), {key, std::move(primitive)});
}

std::vector<PrimitiveCache::Entry> PrimitiveCache::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace qconv::onednn
