#pragma once

#include <cstddef>
#include <cstdint>

#include "native/cpu/instruction_set.h"

namespace qconv::native {

// Bytes that the checksum takes in at once: 16 lanes of 32 bits.
constexpr int64_t kStripeBytes = 64;

// Fletcher's two sums for each of 16 lanes; see docs/packed_format.md.
struct ChecksumState {
  static constexpr int kLanes = 16;
  uint64_t sums[kLanes] = {};
  uint64_t sums_of_sums[kLanes] = {};
};

// A checksum of bytes that come in pieces, so that they can be taken in while they are in the
// cache.
class Checksum {
 public:
  explicit Checksum(InstructionSet set);
  void add(const void* data, int64_t stripes);
  uint64_t result() const;

 private:
  void (*add_stripes_)(ChecksumState& state, const uint8_t* data, int64_t stripes);
  int64_t stripes_ = 0;
  ChecksumState state_;
};

// The checksum of a packed buffer, its own field in the header taken as 0. size: at least that of a
// header, a multiple of kStripeBytes.
uint64_t checksum_of(const void* data, size_t size, InstructionSet set);

}  // namespace qconv::native
