#include "native/format/header.h"

#include <stdexcept>
#include <string>

#include "native/format/check_convolution.h"
#include "native/format/combined_groups.h"
#include "native/format/phases.h"

namespace qconv::native {
namespace {

std::array<uint32_t, 3> narrowed(const Extent& extent) {
  return {
      static_cast<uint32_t>(extent[0]), static_cast<uint32_t>(extent[1]),
      static_cast<uint32_t>(extent[2])};
}

Extent widened(const std::array<uint32_t, 3>& extent) {
  return {extent[0], extent[1], extent[2]};
}

int64_t aligned(int64_t offset) {
  return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

// Bytes of each section; see docs/packed_format.md.
std::array<int64_t, kSections> section_bytes(
    const Convolution& conv, const Phases& phases, uint32_t flags) {
  const auto count = [&](Flag per_channel) {
    return (flags & per_channel) != 0 ? conv.out_channels : int64_t{1};
  };
  const int64_t scale_bytes = (flags & kFlagFloat64Scales) != 0 ? 8 : 4;
  return {
      phases.weight_bytes(),
      count(kFlagScalesPerChannel) * scale_bytes,
      (flags & kFlagZeroPoints) != 0 ? count(kFlagZeroPointsPerChannel) * 4 : 0,
      phases.count() * conv.out_channels * 4,
      (flags & kFlagBias) != 0 ? conv.out_channels * 4 : 0,
  };
}

}  // namespace

PackedHeader make_header(const Convolution& conv, uint32_t flags) {
  check_convolution(conv);
  const Phases phases(combine_groups(conv));
  const Layout layout = phases.at(0).layout;
  PackedHeader header = {};
  header.magic = kMagic;
  header.version = kFormatVersion;
  header.header_bytes = sizeof(PackedHeader);
  header.flags = flags | (conv.transposed ? kFlagTransposed : 0U) |
      (layout.folds_width ? kFlagFoldsWidth : 0U);
  header.spatial_dims = static_cast<uint32_t>(conv.spatial_dims);
  header.in_channels = static_cast<uint32_t>(conv.in_channels);
  header.out_channels = static_cast<uint32_t>(conv.out_channels);
  header.groups = static_cast<uint32_t>(conv.groups);
  header.kernel = narrowed(conv.kernel);
  header.stride = narrowed(conv.stride);
  header.padding = narrowed(conv.padding);
  header.output_padding = narrowed(conv.output_padding);
  header.dilation = narrowed(conv.dilation);
  header.layout_kind = static_cast<uint32_t>(layout.kind);
  header.folded_rows = static_cast<uint32_t>(layout.folded_rows);
  header.k_blocks = static_cast<uint32_t>(layout.k_blocks);
  header.last_columns = static_cast<uint32_t>(layout.last_columns);
  const std::array<int64_t, kSections> bytes = section_bytes(conv, phases, header.flags);
  int64_t offset = sizeof(PackedHeader);
  for (size_t i = 0; i < kSections; ++i) {
    if (bytes[i] != 0) {
      header.sections[i] = {static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes[i])};
      offset = aligned(offset + bytes[i] + (i == kWeight ? kBytesAfterWeight : 0));
    }
  }
  if (offset > kMaxPackedBytes) {
    throw std::invalid_argument(
        "a packed convolution must have at most " + std::to_string(kMaxPackedBytes) +
        " bytes, got " + std::to_string(offset));
  }
  header.total_bytes = static_cast<uint64_t>(offset);
  return header;
}

Convolution convolution_of(const PackedHeader& header) {
  Convolution conv;
  conv.spatial_dims = header.spatial_dims;
  conv.transposed = (header.flags & kFlagTransposed) != 0;
  conv.in_channels = header.in_channels;
  conv.out_channels = header.out_channels;
  conv.groups = header.groups;
  conv.kernel = widened(header.kernel);
  conv.stride = widened(header.stride);
  conv.padding = widened(header.padding);
  conv.output_padding = widened(header.output_padding);
  conv.dilation = widened(header.dilation);
  return conv;
}

}  // namespace qconv::native
