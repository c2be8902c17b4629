#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "native/format/checksum.h"
#include "native/format/header.h"
#include "packing.h"

namespace qconv::native::test {

// A packed buffer to spoil: the bytes, and its header to write to.
struct Spoiled {
  std::vector<uint8_t> bytes;

  PackedHeader header() const {
    PackedHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    return header;
  }
  template <typename Change>
  void change_header(const Change& change) {
    PackedHeader changed = header();
    change(changed);
    std::memcpy(bytes.data(), &changed, sizeof(changed));
  }
  // Overwrites value `index` of a section.
  template <typename Value>
  void set(Section section, size_t index, Value value) {
    std::memcpy(
        bytes.data() + header().sections[section].offset + index * sizeof(Value), &value,
        sizeof(Value));
  }
  int32_t column_sum(size_t index) const {
    int32_t sum;
    std::memcpy(
        &sum, bytes.data() + header().sections[kColumnSums].offset + index * sizeof(sum),
        sizeof(sum));
    return sum;
  }
  // What someone who means harm does as well.
  void fix_checksum() {
    const uint64_t checksum = checksum_of(bytes.data(), bytes.size(), InstructionSet::kScalar);
    change_header([&](PackedHeader& h) { h.checksum = checksum; });
  }
};

// A small sound buffer with every section: per-channel scales and zero points, a bias.
inline Spoiled sound_buffer(const Convolution& conv, double scale = 0.5) {
  Problem problem{.conv = conv, .weight = {}, .scales = {}, .zero_points = {}, .bias = {}};
  for (int64_t i = 0; i < conv.weights(); ++i) {
    problem.weight.push_back(static_cast<int8_t>(i * 29 % 255 - 127));
  }
  problem.scales.assign(static_cast<size_t>(conv.out_channels), scale);
  problem.zero_points.assign(static_cast<size_t>(conv.out_channels), 3);
  problem.bias.assign(static_cast<size_t>(conv.out_channels), 1.5F);
  const PackSource source = source_of(problem);
  PackedMemory memory(packed_size(source));
  pack(source, memory.data(), memory.size());
  return {std::vector<uint8_t>(memory.data(), memory.data() + memory.size())};
}

}  // namespace qconv::native::test
