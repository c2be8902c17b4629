#include "native/format/packed_view.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "native/format/checksum.h"
#include "native/format/combined_groups.h"
#include "native/format/header.h"
#include "native/format/packed_values.h"

namespace qconv::native {
namespace {

constexpr const char* kSectionNames[kSections] = {
    "weight", "scales", "zero points", "column sums", "bias"};

[[noreturn]] void fail(const std::string& message) {
  throw std::invalid_argument("packed buffer: " + message);
}

// `of`: a section, or null.
void check_equal(const char* name, uint64_t value, uint64_t expected, const char* of = nullptr) {
  if (value != expected) {
    fail(
        std::string(name) + (of == nullptr ? "" : " of section ") + (of == nullptr ? "" : of) +
        " must be " + std::to_string(expected) + ", got " + std::to_string(value));
  }
}

// A copy, so that what was checked stays what is used.
PackedHeader read_header(const void* data, size_t size) {
  if (data == nullptr || reinterpret_cast<uintptr_t>(data) % kSectionAlignment != 0) {
    fail("must be aligned to 64 bytes; copy it to memory that is");
  }
  if (size < sizeof(PackedHeader)) {
    fail(
        "must have at least the " + std::to_string(sizeof(PackedHeader)) +
        " bytes of a header, got " + std::to_string(size));
  }
  PackedHeader header;
  std::memcpy(&header, data, sizeof(header));
  if (header.magic != kMagic) {
    fail("does not start as one does (89 51 43 4f 4e 56 0d 0a); it is something else or damaged");
  }
  if (header.version != kFormatVersion) {
    fail(
        "format version must be " + std::to_string(kFormatVersion) + ", got " +
        std::to_string(header.version) + "; pack the convolution again with this library");
  }
  check_equal("header size", header.header_bytes, sizeof(PackedHeader));
  return header;
}

// What the header of this convolution must be.
PackedHeader expected_header(const PackedHeader& header) {
  check_equal("unknown flags", header.flags & ~kKnownFlags, 0);
  try {
    return make_header(convolution_of(header), header.flags & ~kFlagFoldsWidth);
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  }
}

void check_header(const PackedHeader& header, const PackedHeader& expected, size_t size) {
  check_equal("layout kind", header.layout_kind, expected.layout_kind);
  check_equal("flags", header.flags, expected.flags);
  check_equal("folded rows", header.folded_rows, expected.folded_rows);
  check_equal("k blocks", header.k_blocks, expected.k_blocks);
  check_equal("columns of the last block", header.last_columns, expected.last_columns);
  for (size_t i = 0; i < kSections; ++i) {
    const char* const name = kSectionNames[i];
    check_equal("offset", header.sections[i].offset, expected.sections[i].offset, name);
    check_equal("size", header.sections[i].bytes, expected.sections[i].bytes, name);
  }
  if (std::any_of(
          header.reserved.begin(), header.reserved.end(), [](uint8_t b) { return b != 0; })) {
    fail("reserved bytes of the header must be 0");
  }
  check_equal("total size in the header", header.total_bytes, expected.total_bytes);
  check_equal("size", size, header.total_bytes);
}

// The bytes between sections and behind the last one.
void check_gaps(const uint8_t* data, const PackedHeader& header) {
  uint64_t written = sizeof(PackedHeader);
  const auto check_up_to = [&](uint64_t end) {
    if (std::any_of(data + written, data + end, [](uint8_t b) { return b != 0; })) {
      fail("bytes between sections must be 0");
    }
  };
  for (const SectionEntry& section : header.sections) {
    if (section.bytes != 0) {
      check_up_to(section.offset);
      written = section.offset + section.bytes;
    }
  }
  check_up_to(header.total_bytes);
}

template <typename Value>
const Value* section(const void* data, const PackedHeader& header, Section which) {
  const SectionEntry& entry = header.sections[which];
  const auto* const bytes = static_cast<const uint8_t*>(data);
  return entry.bytes == 0 ? nullptr : reinterpret_cast<const Value*>(bytes + entry.offset);
}

PackedView view_of(const void* data, const PackedHeader& header) {
  const auto has = [&](Flag flag) { return (header.flags & flag) != 0; };
  PackedView view;
  view.original = convolution_of(header);
  view.conv = combine_groups(view.original);
  view.layout = Phases(view.conv).at(0).layout;
  view.weight = section<int8_t>(data, header, kWeight);
  if (has(kFlagFloat64Scales)) {
    view.double_scales = section<double>(data, header, kScales);
  } else {
    view.float_scales = section<float>(data, header, kScales);
  }
  view.scales_per_channel = has(kFlagScalesPerChannel);
  view.scale_count = view.scales_per_channel ? view.conv.out_channels : 1;
  view.zero_points = section<int32_t>(data, header, kZeroPoints);
  view.zero_points_per_channel = has(kFlagZeroPointsPerChannel);
  view.zero_point_count = view.zero_points_per_channel ? view.conv.out_channels : 1;
  view.column_sums = section<int32_t>(data, header, kColumnSums);
  view.bias = section<float>(data, header, kBias);
  return view;
}

}  // namespace

PackedView phase_view(const PackedView& packed, const Phase& phase) {
  PackedView view = packed;
  view.conv = phase.conv;
  view.layout = phase.layout;
  view.weight += phase.weight_offset;
  view.column_sums += phase.index * packed.conv.out_channels;
  return view;
}

PackedView view_packed(const void* data, size_t size, bool verify) {
  const PackedHeader header = read_header(data, size);
  check_header(header, expected_header(header), size);
  const PackedView view = view_of(data, header);
  check_gaps(static_cast<const uint8_t*>(data), header);
  check_values(view);
  if (verify) {
    if (checksum_of(data, size, best_instruction_set()) != header.checksum) {
      fail("checksum is wrong: the bytes are damaged");
    }
    check_weight(view);
  }
  return view;
}

}  // namespace qconv::native
