// Whole packed buffers, byte for byte, so that the format can't change by accident. The bytes come
// from golden_bytes.py, which knows docs/packed_format.md and none of this code.
#include <cstdio>
#include <cstring>

#include "check.h"
#include "packing.h"

namespace qconv::native::test {
namespace {

struct GoldenLine {
  int offset;
  const char* hex;
};

#include "golden_bytes.h"

std::vector<uint8_t> bytes_of(const GoldenLine* lines, size_t count, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < count; ++i) {
    for (size_t b = 0; lines[i].hex[2 * b] != '\0'; ++b) {
      unsigned value = 0;
      std::sscanf(lines[i].hex + 2 * b, "%2x", &value);
      bytes[static_cast<size_t>(lines[i].offset) + b] = static_cast<uint8_t>(value);
    }
  }
  return bytes;
}

// The formulas of golden_bytes.py.
Problem problem_of(
    const Convolution& conv, std::vector<double> scales, std::vector<int32_t> zero_points,
    bool bias, int64_t sparse = 1) {
  Problem problem{
      .conv = conv,
      .weight = {},
      .scales = std::move(scales),
      .zero_points = std::move(zero_points),
      .bias = {}};
  for (int64_t i = 0; i < conv.weights(); ++i) {
    problem.weight.push_back(static_cast<int8_t>(i % sparse == 0 ? (i * 37 + 11) % 256 - 128 : 0));
  }
  for (int64_t i = 0; bias && i < conv.out_channels; ++i) {
    problem.bias.push_back(static_cast<float>(i) / 4 - 1);
  }
  return problem;
}

void check_bytes(const char* name, const std::vector<uint8_t>& golden, const Problem& problem) {
  const PackSource source = source_of(problem);
  CHECK_EQUAL(packed_size(source), golden.size(), name);
  for (const InstructionSetEntry& entry : instruction_sets()) {
    PackedMemory memory(packed_size(source));
    if (!entry.supported || memory.size() != golden.size()) {
      continue;
    }
    pack(source, memory.data(), memory.size(), entry.set);
    for (size_t i = 0; i < golden.size(); ++i) {
      if (memory.data()[i] != golden[i]) {
        std::ostringstream where;
        where << name << ", " << entry.name << ", byte " << i;
        CHECK_EQUAL(memory.data()[i], golden[i], where.str());
        break;
      }
    }
    CHECK_EQUAL(
        error_of([&] { view_packed(memory.data(), memory.size(), true); }), "no error", name);
  }
}

#define CHECK_BYTES(name, ...)                                                                 \
  check_bytes(                                                                                 \
      #name,                                                                                   \
      bytes_of(kLinesOf_##name, sizeof(kLinesOf_##name) / sizeof(GoldenLine), kSizeOf_##name), \
      problem_of(__VA_ARGS__))

Convolution with_dims(Convolution conv, int64_t dims, int64_t kernel_depth = 1) {
  conv.spatial_dims = dims;
  conv.kernel[0] = kernel_depth;
  return conv;
}

const Test kGolden("packed bytes are those written down", [] {
  std::vector<double> scales;
  for (int i = 0; i < 17; ++i) {
    scales.push_back(0.25 + i);
  }
  std::vector<int32_t> zero_points;
  for (int i = 0; i < 9; ++i) {
    zero_points.insert(zero_points.end(), {5, 0});
  }
  std::vector<int32_t> sevens;
  for (int i = 0; i < 10; ++i) {
    sevens.insert(sevens.end(), {7, 0});
  }
  std::vector<int32_t> fours;
  for (int i = 0; i < 16; ++i) {
    fours.insert(fours.end(), {0, -4});
  }
  Convolution dilated = conv2d(2, 1, 2, 2);
  dilated.dilation[2] = 2;
  CHECK_BYTES(pointwise, conv2d(5, 3, 1, 1), {0.5}, {0}, true);
  CHECK_BYTES(two_k_blocks, conv2d(68, 2, 1, 1), {0.1, 0.25}, {0}, false);
  CHECK_BYTES(folded_first_layer, conv2d(3, 2, 7, 7), {0.5}, {-3}, false);
  CHECK_BYTES(folded_width, conv2d(6, 17, 2, 3), scales, {0}, false);
  CHECK_BYTES(dilated, dilated, {0.5}, {0}, false);
  CHECK_BYTES(depthwise, conv2d(18, 18, 2, 3, 18), {0.5}, zero_points, true);
  CHECK_BYTES(groups, conv2d(4, 6, 1, 2, 2), {0.5}, std::vector<int32_t>(6, 0), false);
  CHECK_BYTES(one_dimension, with_dims(conv2d(1, 1, 1, 3), 1), {0.5}, {0}, false);
  CHECK_BYTES(three_dimensions, with_dims(conv2d(2, 1, 2, 2), 3, 2), {0.5}, {0}, false);
  CHECK_BYTES(up_2x2, transposed(conv2d(6, 5, 2, 2), {1, 2, 2}), {0.5}, {0}, true);
  std::vector<int32_t> alternating;
  for (int i = 0; i < 8; ++i) {
    alternating.insert(alternating.end(), {1, -2});
  }
  alternating.push_back(3);
  CHECK_BYTES(up_3x3, transposed(conv2d(3, 17, 3, 3), {1, 2, 2}), {0.5}, alternating, false);
  Convolution up_dilated = transposed(conv2d(4, 2, 3, 4), {1, 2, 3});
  up_dilated.dilation = {1, 2, 2};
  CHECK_BYTES(up_dilated, up_dilated, {0.5}, {0}, false);
  CHECK_BYTES(small_groups, conv2d(12, 24, 2, 3, 6), {0.5}, {0}, true);
  std::vector<int32_t> ascending;
  for (int32_t i = -10; i < 11; ++i) {
    ascending.push_back(i);
  }
  CHECK_BYTES(uneven_groups, conv2d(9, 21, 1, 2, 3), {0.5}, ascending, false);
  CHECK_BYTES(grouped, conv2d(20, 20, 2, 3, 5), {0.5}, sevens, true);
  std::vector<double> sixteen_scales;
  for (int i = 0; i < 16; ++i) {
    sixteen_scales.push_back(0.5 + i);
  }
  CHECK_BYTES(grouped_by_8, conv2d(24, 16, 1, 2, 2), sixteen_scales, {0}, false);
  Convolution grouped_3d = with_dims(conv2d(16, 32, 1, 2, 2), 3, 2);
  grouped_3d.dilation[2] = 3;
  CHECK_BYTES(grouped_by_16, grouped_3d, {0.5}, {0}, false);
  CHECK_BYTES(grouped_together, conv2d(32, 32, 1, 3, 16), {0.5}, fours, false);
  CHECK_BYTES(up_groups, transposed(conv2d(4, 6, 1, 4, 2), {1, 1, 2}), {0.5}, {0}, false);
  CHECK_BYTES(up_depthwise, transposed(conv2d(18, 18, 3, 2, 18), {1, 2, 2}), {0.5}, {0}, false);
  CHECK_BYTES(
      up_three_dimensions, with_dims(transposed(conv2d(2, 1, 2, 2), {2, 2, 1}), 3, 3), {0.5}, {0},
      false);
  CHECK_BYTES(
      up_far_apart, with_dims(transposed(conv2d(1, 1, 1, 2), {1, 1, 5}), 1), {0.5}, {0}, false);
  CHECK_BYTES(narrow_last_block, conv2d(4096, 18, 1, 1), {0.5}, {0}, false, 1021);
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
