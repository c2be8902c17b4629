#include "native/format/checksum.h"

#include <cstring>

#include "native/format/header.h"
#include "native/format/pack_kernels.h"

namespace qconv::native {
namespace {

// One to one, so that no difference is lost. The factor is 2^64 / golden ratio (Knuth, The Art of
// Computer Programming, volume 3, 6.4).
uint64_t mixed(uint64_t value) {
  value *= 0x9e3779b97f4a7c15U;
  return value ^ value >> 32;
}

}  // namespace

Checksum::Checksum(InstructionSet set) : add_stripes_(pack_kernels(set).add_stripes) {}

void Checksum::add(const void* data, int64_t stripes) {
  add_stripes_(state_, static_cast<const uint8_t*>(data), stripes);
  stripes_ += stripes;
}

uint64_t Checksum::result() const {
  auto result = static_cast<uint64_t>(stripes_ * kStripeBytes);
  for (int lane = 0; lane < ChecksumState::kLanes; ++lane) {
    result = mixed(result ^ state_.sums[lane]);
    result = mixed(result ^ state_.sums_of_sums[lane]);
  }
  return result;
}

uint64_t checksum_of(const void* data, size_t size, InstructionSet set) {
  PackedHeader header;
  std::memcpy(&header, data, sizeof(header));
  header.checksum = 0;
  Checksum checksum(set);
  checksum.add(&header, sizeof(header) / kStripeBytes);
  const auto rest = static_cast<int64_t>(size - sizeof(header));
  checksum.add(static_cast<const uint8_t*>(data) + sizeof(header), rest / kStripeBytes);
  return checksum.result();
}

}  // namespace qconv::native
