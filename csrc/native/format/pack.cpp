#include "native/format/pack.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/format/check_convolution.h"
#include "native/format/combined_groups.h"
#include "native/format/header.h"
#include "native/format/pack_weight.h"
#include "native/format/value_rules.h"

namespace qconv::native {
namespace {

[[noreturn]] void fail(const std::string& message) {
  throw std::invalid_argument(message);
}

// Names the one of `values` that is wrong, if there is one.
template <typename Value, typename IsValid>
void check_values(
    const char* name, const Value* values, int64_t count, const IsValid& is_valid,
    const char* expected) {
  const Value* const invalid = first_invalid(values, count, is_valid);
  if (invalid != nullptr) {
    const std::string channel =
        count == 1 ? "" : " of output channel " + std::to_string(invalid - values);
    fail(
        std::string(name) + channel + " must be " + expected + ", got " + std::to_string(*invalid));
  }
}

// The flags that say in which form scales, zero points and bias are stored; checks their values.
uint32_t flags_of(const PackSource& source) {
  if (source.weight == nullptr || source.scales == nullptr) {
    fail("weight and scales must not be null");
  }
  uint32_t flags = 0;
  const int64_t out_channels = source.conv.out_channels;
  const int64_t scale_count = source.scales_per_channel ? out_channels : 1;
  check_values("scale", source.scales, scale_count, is_scale, "positive, finite and normal");
  flags |= source.scales_per_channel ? kFlagScalesPerChannel : 0U;
  if (first_invalid(source.scales, scale_count, fits_float32) != nullptr) {
    flags |= kFlagFloat64Scales;
  }
  flags |= source.zero_points_per_channel ? kFlagZeroPointsPerChannel : 0U;
  if (source.zero_points != nullptr) {
    const int64_t count = source.zero_points_per_channel ? out_channels : 1;
    check_values("zero point", source.zero_points, count, is_weight_zero_point, "from -128 to 127");
    const bool any = std::any_of(
        source.zero_points, source.zero_points + count, [](int32_t value) { return value != 0; });
    flags |= any ? kFlagZeroPoints : 0U;
  }
  if (source.bias != nullptr) {
    check_values("bias", source.bias, out_channels, is_bias, "finite");
    flags |= kFlagBias;
  }
  return flags;
}

PackedHeader header_of(const PackSource& source) {
  // The convolution first: counts of scales and zero points follow from it.
  check_convolution(source.conv);
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

// The source of combine_groups(source.conv), which keeps its weight in `combined`.
PackSource combine_source(const PackSource& source, std::vector<int8_t>& combined) {
  PackSource result = source;
  result.conv = combine_groups(source.conv);
  if (result.conv.groups != source.conv.groups) {
    combined = combine_weight(
        source.conv, source.weight, source.strides, source.zero_points,
        source.zero_points_per_channel);
    result.weight = combined.data();
    result.strides = contiguous_strides(result.conv);
  }
  return result;
}

// One phase as the source of an ordinary convolution.
PackSource source_of_phase(const PackSource& source, const Phase& phase) {
  const PhaseWeight weight = weight_of_phase(source.strides, phase);
  PackSource part = source;
  part.conv = phase.conv;
  part.weight += weight.first;
  part.strides = weight.strides;
  return part;
}

}  // namespace

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
  std::vector<int8_t> combined;
  const PackSource whole = combine_source(source, combined);
  const Phases phases(whole.conv);
  std::vector<int32_t> column_sums(static_cast<size_t>(phases.count() * source.conv.out_channels));
  PackResult result;
  for (int64_t i = 0; i < phases.count(); ++i) {
    const Phase phase = phases.at(i);
    const int64_t magnitude = pack_weight(
        source_of_phase(whole, phase), phase.layout, pack_kernels(set), output,
        column_sums.data() + i * source.conv.out_channels);
    result.largest_magnitude = std::max(result.largest_magnitude, magnitude);
  }
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
