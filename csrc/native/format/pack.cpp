#include "native/format/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/format/header.h"
#include "native/format/pack_weight.h"
#include "native/format/scale_form.h"

namespace qconv::native {
namespace {

[[noreturn]] void fail(const std::string& message) {
  throw std::invalid_argument(message);
}

std::string of_channel(const char* what, bool per_channel, int64_t channel) {
  return per_channel ? std::string(what) + " of output channel " + std::to_string(channel) : what;
}

// The flags that say in which form scales, zero points and bias are stored; checks their values.
uint32_t flags_of(const PackSource& source) {
  uint32_t flags = 0;
  if (source.weight == nullptr || source.scales == nullptr) {
    fail("weight and scales must not be null");
  }
  const int64_t scale_count = source.scales_per_channel ? source.conv.out_channels : 1;
  flags |= source.scales_per_channel ? kFlagScalesPerChannel : 0U;
  for (int64_t i = 0; i < scale_count; ++i) {
    const double scale = source.scales[i];
    if (!is_scale(scale)) {
      fail(
          of_channel("scale", source.scales_per_channel, i) + " must be positive and finite, got " +
          std::to_string(scale));
    }
    flags |= fits_float32(scale) ? 0U : kFlagFloat64Scales;
  }
  flags |= source.zero_points_per_channel ? kFlagZeroPointsPerChannel : 0U;
  const int64_t zero_point_count = source.zero_points_per_channel ? source.conv.out_channels : 1;
  for (int64_t i = 0; source.zero_points != nullptr && i < zero_point_count; ++i) {
    const int32_t zero_point = source.zero_points[i];
    if (zero_point < INT8_MIN || zero_point > INT8_MAX) {
      fail(
          of_channel("zero point", source.zero_points_per_channel, i) +
          " must be from -128 to 127, got " + std::to_string(zero_point));
    }
    flags |= zero_point != 0 ? kFlagZeroPoints : 0U;
  }
  for (int64_t i = 0; source.bias != nullptr && i < source.conv.out_channels; ++i) {
    if (!std::isfinite(source.bias[i])) {
      fail(of_channel("bias", true, i) + " must be finite, got " + std::to_string(source.bias[i]));
    }
  }
  return flags | (source.bias != nullptr ? kFlagBias : 0U);
}

PackedHeader header_of(const PackSource& source) {
  // The convolution first: counts of scales and zero points follow from it.
  make_header(source.conv, 0);
  return make_header(source.conv, flags_of(source));
}

// Writes a section after the zeros that pad the one before it.
template <typename Value>
void write_section(PackedOutput& output, const SectionEntry& section, const Value* values) {
  const auto offset = static_cast<int64_t>(section.offset);
  std::memset(output.data + output.written, 0, static_cast<size_t>(offset - output.written));
  std::memcpy(output.data + offset, values, section.bytes);
  output.advance_to(offset + static_cast<int64_t>(section.bytes));
}

void write_scales(const PackSource& source, PackedOutput& output, const PackedHeader& header) {
  const SectionEntry& section = header.sections[kScales];
  if ((header.flags & kFlagFloat64Scales) != 0) {
    write_section(output, section, source.scales);
    return;
  }
  const std::vector<float> narrowed(source.scales, source.scales + section.bytes / sizeof(float));
  write_section(output, section, narrowed.data());
}

}  // namespace

std::array<int64_t, 5> contiguous_strides(const Convolution& conv) {
  const Extent& kernel = conv.kernel;
  return {
      conv.in_channels_per_group() * conv.taps(), conv.taps(), kernel[1] * kernel[2], kernel[2], 1};
}

size_t packed_size(const PackSource& source) {
  return header_of(source).total_bytes;
}

PackResult pack(const PackSource& source, void* out, size_t size) {
  return pack(source, out, size, best_instruction_set());
}

PackResult pack(const PackSource& source, void* out, size_t size, InstructionSet set) {
  PackedHeader header = header_of(source);
  if (size != header.total_bytes) {
    fail(
        "the packed buffer must have " + std::to_string(header.total_bytes) + " bytes, got " +
        std::to_string(size));
  }
  if (reinterpret_cast<uintptr_t>(out) % kSectionAlignment != 0) {
    fail("the packed buffer must be aligned to 64 bytes");
  }
  PackedOutput output{static_cast<uint8_t*>(out), 0, Checksum(set)};
  std::memcpy(output.data, &header, sizeof(header));
  output.advance_to(sizeof(header));
  std::vector<int32_t> column_sums(static_cast<size_t>(source.conv.out_channels));
  PackResult result;
  result.largest_magnitude =
      pack_weight(source, layout_of(source.conv), pack_kernels(set), output, column_sums.data());
  if (result.largest_magnitude > kMaxWeightMagnitude) {
    fail(
        "255 times the sum of |weight - zero point| of an output channel must fit int32, got a sum "
        "of " +
        std::to_string(result.largest_magnitude));
  }
  write_scales(source, output, header);
  if ((header.flags & kFlagZeroPoints) != 0) {
    write_section(output, header.sections[kZeroPoints], source.zero_points);
  }
  write_section(output, header.sections[kColumnSums], column_sums.data());
  if (source.bias != nullptr) {
    write_section(output, header.sections[kBias], source.bias);
  }
  const auto total = static_cast<int64_t>(header.total_bytes);
  std::memset(output.data + output.written, 0, static_cast<size_t>(total - output.written));
  output.advance_to(total);
  header.checksum = output.checksum.result();
  std::memcpy(output.data, &header, sizeof(header));
  return result;
}

}  // namespace qconv::native
