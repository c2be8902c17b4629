#include "plain/packed_cache.h"

#include <c10/util/intrusive_ptr.h>

#include <algorithm>
#include <array>
#include <list>
#include <mutex>

namespace qconv {
namespace {

// Networks have a few hundred convolutions.
constexpr size_t kMostEntries = 1024;
// Convolutions packed for one weight: more than one where it runs with several biases or strides.
constexpr size_t kMostPerWeight = 4;

// Evenly spaced bytes of the weight.
using Sample = std::array<int8_t, 64>;

// Which bytes a tensor shows, and which state of them.
struct Identity {
  c10::weak_intrusive_ptr<c10::StorageImpl> storage;
  int64_t offset;
  Dims sizes, strides;
  int64_t version;
  Sample sample;
};

Dims dims(c10::IntArrayRef values) {
  return {values.begin(), values.end()};
}

// Position in storage of element `index`, counted in the order of the sizes.
int64_t position(const at::Tensor& tensor, int64_t index) {
  int64_t result = 0;
  for (int64_t i = tensor.dim() - 1; i >= 0; --i) {
    result += index % tensor.size(i) * tensor.stride(i);
    index /= tensor.size(i);
  }
  return result;
}

Sample sample_of(const at::Tensor& weight) {
  Sample sample{};
  const auto* data = weight.const_data_ptr<int8_t>();
  const int64_t count = weight.numel();
  for (size_t i = 0; i < sample.size() && count > 0; ++i) {
    // A prime step reaches into every row and column of any shape.
    sample[i] = data[position(weight, static_cast<int64_t>(i) * 7919 % count)];
  }
  return sample;
}

int64_t version_of(const at::Tensor& tensor) {
  return tensor.is_inference() ? 0 : static_cast<int64_t>(tensor._version());
}

bool same_memory(const Identity& identity, const at::Tensor& weight) {
  return identity.storage._unsafe_get_target() == weight.storage().unsafeGetStorageImpl() &&
      !identity.storage.expired() && identity.offset == weight.storage_offset() &&
      c10::IntArrayRef(identity.sizes) == weight.sizes() &&
      c10::IntArrayRef(identity.strides) == weight.strides();
}

bool unchanged(const Identity& identity, const at::Tensor& weight) {
  return identity.version == version_of(weight) && identity.sample == sample_of(weight);
}

struct Entry {
  Identity identity;
  std::optional<std::string> engine;
  std::list<std::shared_ptr<const PackedPlainConv>> packed;  // most recently used first
};

std::mutex mutex;

// Most recently used first. Never destroyed: threads may still run at exit.
std::list<Entry>& entries() {
  static auto* const list = new std::list<Entry>();
  return *list;
}

// The entry of this weight, moved to the front; nullptr where there is none. What was packed of
// other bytes at the same place is forgotten.
Entry* find_entry(const at::Tensor& weight) {
  std::list<Entry>& all = entries();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Entry& entry) {
    return same_memory(entry.identity, weight);
  });
  if (found == all.end()) {
    return nullptr;
  }
  all.splice(all.begin(), all, found);
  Entry& entry = all.front();
  if (!unchanged(entry.identity, weight)) {
    entry.packed.clear();
    entry.identity.version = version_of(weight);
    entry.identity.sample = sample_of(weight);
  }
  return &entry;
}

Entry& find_or_add_entry(const at::Tensor& weight) {
  if (Entry* entry = find_entry(weight)) {
    return *entry;
  }
  std::list<Entry>& all = entries();
  all.remove_if([](const Entry& entry) { return entry.identity.storage.expired(); });
  while (all.size() >= kMostEntries) {
    all.pop_back();
  }
  all.push_front(
      {{weight.storage().getWeakStorageImpl(), weight.storage_offset(), dims(weight.sizes()),
        dims(weight.strides()), version_of(weight), sample_of(weight)},
       std::nullopt,
       {}});
  return all.front();
}

}  // namespace

std::shared_ptr<const PackedPlainConv> find_packed(const PlainWeight& weight) {
  const std::lock_guard<std::mutex> lock(mutex);
  Entry* const entry = find_entry(weight.weight);
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
  Entry& entry = find_or_add_entry(weight.weight);
  entry.packed.push_front(std::move(packed));
  if (entry.packed.size() > kMostPerWeight) {
    entry.packed.pop_back();
  }
}

void remember_engine(const at::Tensor& weight, std::string engine) {
  const std::lock_guard<std::mutex> lock(mutex);
  find_or_add_entry(weight).engine = std::move(engine);
}

std::optional<std::string> remembered_engine(const at::Tensor& weight) {
  const std::lock_guard<std::mutex> lock(mutex);
  const Entry* const entry = find_entry(weight);
  return entry == nullptr ? std::nullopt : entry->engine;
}

}  // namespace qconv
