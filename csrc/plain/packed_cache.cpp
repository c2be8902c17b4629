#include "plain/packed_cache.h"

#include <c10/util/intrusive_ptr.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <list>
#include <mutex>
#include <unordered_map>

namespace qconv {
namespace {

// Networks have a few hundred convolutions.
constexpr size_t kMostEntries = 1024;
// Convolutions packed for one weight: more than one where it runs with several biases or strides.
constexpr size_t kMostPerWeight = 4;

// Bytes of the weight, and where in its memory they lie.
constexpr size_t kSampled = 64;
using Sample = std::array<int8_t, kSampled>;
using Positions = std::array<int64_t, kSampled>;

// Which bytes a tensor shows, and which state of them.
struct Identity {
  c10::weak_intrusive_ptr<c10::StorageImpl> storage;
  int64_t offset;
  Sizes sizes, strides;
  int64_t version;
  Positions positions;
  Sample sample;
};

// Position in memory of element `index`, counted in the order of the sizes.
int64_t position(const at::Tensor& tensor, int64_t index) {
  int64_t result = 0;
  for (int64_t i = tensor.dim() - 1; i >= 0; --i) {
    result += index % tensor.size(i) * tensor.stride(i);
    index /= tensor.size(i);
  }
  return result;
}

// Of a weight that isn't empty.
Positions positions_of(const at::Tensor& weight) {
  Positions positions{};
  for (size_t i = 0; i < kSampled; ++i) {
    // A prime step reaches into every row and column of any shape.
    positions[i] = position(weight, static_cast<int64_t>(i) * 7919 % weight.numel());
  }
  return positions;
}

Sample sample_of(const at::Tensor& weight, const Positions& positions) {
  Sample sample{};
  const auto* data = weight.const_data_ptr<int8_t>();
  for (size_t i = 0; i < kSampled; ++i) {
    sample[i] = data[positions[i]];
  }
  return sample;
}

int64_t version_of(const at::Tensor& tensor) {
  return tensor.is_inference() ? 0 : static_cast<int64_t>(tensor._version());
}

bool same_memory(const Identity& identity, const at::Tensor& weight) {
  return !identity.storage.expired() && identity.offset == weight.storage_offset() &&
      c10::IntArrayRef(identity.sizes) == weight.sizes() &&
      c10::IntArrayRef(identity.strides) == weight.strides();
}

bool unchanged(const Identity& identity, const at::Tensor& weight) {
  return identity.version == version_of(weight) &&
      identity.sample == sample_of(weight, identity.positions);
}

Identity identity_of(const at::Tensor& weight) {
  const auto list = [](c10::IntArrayRef values) { return Sizes(values.begin(), values.end()); };
  const Positions positions = positions_of(weight);
  return {
      weight.storage().getWeakStorageImpl(),
      weight.storage_offset(),
      list(weight.sizes()),
      list(weight.strides()),
      version_of(weight),
      positions,
      sample_of(weight, positions)};
}

struct Entry {
  Identity identity;
  std::optional<std::string> engine;
  std::list<std::shared_ptr<const PackedPlainConv>> packed;  // most recently used first
};

// Not for several threads at once: see `mutex`.
class Entries {
 public:
  // The entry of this weight, or nullptr. What was packed of other bytes at the same place is
  // forgotten.
  Entry* find(const at::Tensor& weight) {
    const auto [first, last] = of_storage_.equal_range(weight.storage().unsafeGetStorageImpl());
    const auto found = std::find_if(
        first, last, [&](const auto& item) { return same_memory(item.second->identity, weight); });
    if (found == last) {
      return nullptr;
    }
    used_.splice(used_.begin(), used_, found->second);
    Entry& entry = *found->second;
    if (!unchanged(entry.identity, weight)) {
      entry.packed.clear();
      entry.identity.version = version_of(weight);
      entry.identity.sample = sample_of(weight, entry.identity.positions);
    }
    return &entry;
  }

  Entry& find_or_add(const at::Tensor& weight) {
    if (Entry* entry = find(weight)) {
      return *entry;
    }
    std::erase_if(of_storage_, [&](const auto& item) {
      const bool expired = item.second->identity.storage.expired();
      if (expired) {
        used_.erase(item.second);
      }
      return expired;
    });
    while (used_.size() >= kMostEntries) {
      std::erase_if(
          of_storage_, [&](const auto& item) { return item.second == std::prev(used_.end()); });
      used_.pop_back();
    }
    used_.push_front({identity_of(weight), std::nullopt, {}});
    of_storage_.emplace(weight.storage().unsafeGetStorageImpl(), used_.begin());
    return used_.front();
  }

 private:
  std::list<Entry> used_;  // most recently first
  // An entry's weak reference keeps the address of its storage from being used anew.
  std::unordered_multimap<const c10::StorageImpl*, std::list<Entry>::iterator> of_storage_;
};

std::mutex mutex;

// Never destroyed: threads may still run at exit.
Entries& entries() {
  static auto* const all = new Entries();
  return *all;
}

}  // namespace

std::shared_ptr<const PackedPlainConv> find_packed(const PlainWeight& weight) {
  const std::lock_guard<std::mutex> lock(mutex);
  Entry* const entry = entries().find(weight.weight);
  if (entry == nullptr) {
    return nullptr;
  }
  auto& packed = entry->packed;
  const auto found = std::find_if(packed.begin(), packed.end(), [&](const auto& candidate) {
    return same_conv(*candidate->conv, weight);
  });
  if (found == packed.end()) {
    return nullptr;
  }
  packed.splice(packed.begin(), packed, found);
  return packed.front();
}

void remember_packed(const PlainWeight& weight, std::shared_ptr<const PackedPlainConv> packed) {
  const std::lock_guard<std::mutex> lock(mutex);
  Entry& entry = entries().find_or_add(weight.weight);
  entry.packed.push_front(std::move(packed));
  if (entry.packed.size() > kMostPerWeight) {
    entry.packed.pop_back();
  }
}

void remember_engine(const at::Tensor& weight, std::string engine) {
  const std::lock_guard<std::mutex> lock(mutex);
  entries().find_or_add(weight).engine = std::move(engine);
}

std::optional<std::string> remembered_engine(const at::Tensor& weight) {
  const std::lock_guard<std::mutex> lock(mutex);
  const Entry* const entry = entries().find(weight);
  return entry == nullptr ? std::nullopt : entry->engine;
}

}  // namespace qconv
