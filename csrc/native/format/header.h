#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "native/convolution.h"

namespace qconv::native {

static_assert(std::endian::native == std::endian::little, "packed buffers are little-endian");

// Of the buffer itself and of every section in it: a cache line, a vector of AVX-512, a tile row.
constexpr int64_t kSectionAlignment = 64;
// Zeros after the last weight, so that a kernel may load a full vector there.
constexpr int64_t kBytesAfterWeight = 64;

constexpr std::array<char, 8> kMagic = {'\x89', 'Q', 'C', 'O', 'N', 'V', '\r', '\n'};
constexpr uint32_t kFormatVersion = 1;

enum Flag : uint32_t {
  kFlagTransposed = 1,
  kFlagFoldsWidth = 2,
  kFlagScalesPerChannel = 4,
  kFlagFloat64Scales = 8,
  kFlagZeroPointsPerChannel = 16,  // as they were given, whether or not they are stored
  kFlagZeroPoints = 32,            // stored: not all are 0
  kFlagBias = 64,
};
constexpr uint32_t kKnownFlags = 127;

enum Section { kWeight, kScales, kZeroPoints, kColumnSums, kBias, kSections };

// One that is absent has 0 for both.
struct SectionEntry {
  uint64_t offset;  // from the start of the buffer
  uint64_t bytes;   // without what pads it
};

// The first bytes of a packed buffer. docs/packed_format.md gives the reason of every field.
struct PackedHeader {
  std::array<char, 8> magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t total_bytes;
  uint64_t checksum;  // of the whole buffer, this field taken as 0

  uint32_t flags;
  uint32_t spatial_dims;
  uint32_t in_channels;
  uint32_t out_channels;
  uint32_t groups;
  std::array<uint32_t, 3> kernel;
  std::array<uint32_t, 3> stride;
  std::array<uint32_t, 3> padding;
  std::array<uint32_t, 3> output_padding;
  std::array<uint32_t, 3> dilation;

  // What the convolution decides, written down for readers that don't know the rule: of its first
  // phase.
  uint32_t layout_kind;
  uint32_t folded_rows;
  uint32_t k_blocks;
  uint32_t last_columns;

  std::array<SectionEntry, kSections> sections;
  std::array<uint8_t, 48> reserved;  // 0
};
static_assert(sizeof(PackedHeader) == 256);

// The header of a convolution whose scales, zero points and bias have the form that `flags` say;
// those that follow from the convolution are added. The checksum is 0. Raises std::invalid_argument
// if check_convolution does, or if the buffer would exceed kMaxPackedBytes.
PackedHeader make_header(const Convolution& conv, uint32_t flags);

// The convolution that a header names, unchecked.
Convolution convolution_of(const PackedHeader& header);

}  // namespace qconv::native
