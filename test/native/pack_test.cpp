// Packing on every instruction set against a packer that goes weight by weight, and unpacking.
#include "native/format/pack.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "check.h"
#include "native/format/unpack.h"
#include "packing.h"
#include "random.h"

namespace qconv::native::test {
namespace {

enum class WeightOrder { kContiguous, kChannelsLast, kReversed, kGaps, kInputChannelsFirst };
constexpr WeightOrder kOrders[] = {
    WeightOrder::kContiguous, WeightOrder::kChannelsLast, WeightOrder::kReversed,
    WeightOrder::kGaps, WeightOrder::kInputChannelsFirst};

// A problem's weight in another order, right before memory that can't be read.
class OrderedWeight {
 public:
  OrderedWeight(const Problem& problem, WeightOrder order)
      : strides_(strides_of(problem.conv, order)),
        memory_(static_cast<size_t>(span(problem.conv))) {
    const std::array<int64_t, 6> sizes = sizes_of(problem.conv);
    std::memset(memory_.data(), 0x55, static_cast<size_t>(span(problem.conv)));
    for (int64_t o = 0; o < problem.conv.out_channels; ++o) {
      for (int64_t i = 0; i < sizes[2]; ++i) {
        for (int64_t d = 0; d < sizes[3]; ++d) {
          for (int64_t h = 0; h < sizes[4]; ++h) {
            for (int64_t w = 0; w < sizes[5]; ++w) {
              memory_.data()
                  [o / sizes[1] * strides_[0] + o % sizes[1] * strides_[1] + i * strides_[2] +
                   d * strides_[3] + h * strides_[4] + w * strides_[5]] =
                  static_cast<uint8_t>(problem.weight_at(o, i, d, h, w));
            }
          }
        }
      }
    }
  }
  const int8_t* data() const { return reinterpret_cast<const int8_t*>(memory_.data()); }
  WeightStrides strides() const {
    return {strides_[0], strides_[1], strides_[2], {strides_[3], strides_[4], strides_[5]}};
  }

 private:
  // Group, output and input channel of the group, kernel.
  static std::array<int64_t, 6> sizes_of(const Convolution& conv) {
    return {
        conv.groups,
        conv.out_channels_per_group(),
        conv.in_channels_per_group(),
        conv.kernel[0],
        conv.kernel[1],
        conv.kernel[2]};
  }
  static std::array<int64_t, 6> strides_of(const Convolution& conv, WeightOrder order) {
    const std::array<int64_t, 6> sizes = sizes_of(conv);
    std::array<int, 6> inner_first = {5, 4, 3, 2, 1, 0};
    if (order == WeightOrder::kChannelsLast) {
      inner_first = {2, 5, 4, 3, 1, 0};
    } else if (order == WeightOrder::kReversed) {
      inner_first = {0, 1, 2, 3, 4, 5};
    } else if (order == WeightOrder::kInputChannelsFirst) {
      inner_first = {5, 4, 3, 1, 2, 0};
    }
    std::array<int64_t, 6> strides{};
    int64_t stride = 1;
    for (int dimension : inner_first) {
      strides[dimension] = stride;
      stride *= sizes[dimension];
      stride += order == WeightOrder::kGaps && dimension == 2 ? 3 : 0;
    }
    return strides;
  }
  int64_t span(const Convolution& conv) const {
    int64_t last = 0;
    for (size_t i = 0; i < 6; ++i) {
      last += (sizes_of(conv)[i] - 1) * strides_[i];
    }
    return last + 1;
  }

  std::array<int64_t, 6> strides_;
  GuardedMemory memory_;
};

Problem problem_of(const Convolution& conv, Random& random) {
  Problem problem{.conv = conv, .weight = {}, .scales = {}, .zero_points = {}, .bias = {}};
  const bool extreme = random.between(0, 3) == 0;
  for (int64_t i = 0; i < conv.weights(); ++i) {
    const int64_t value = random.between(-128, 127);
    problem.weight.push_back(static_cast<int8_t>(extreme ? (value < 0 ? -128 : 127) : value));
  }
  const double scale = random.between(0, 1) == 0 ? 0.1 : 0.125;  // float64, float32
  for (int64_t i = random.between(0, 1) == 0 ? 1 : conv.out_channels; i > 0; --i) {
    problem.scales.push_back(scale * static_cast<double>(i));
  }
  const int64_t range = random.between(0, 2) == 0 ? 0 : 128;
  for (int64_t i = random.between(0, 1) == 0 ? 1 : conv.out_channels; i > 0; --i) {
    const int64_t value = random.between(-range, range);
    problem.zero_points.push_back(static_cast<int32_t>(std::min<int64_t>(value, 127)));
  }
  for (int64_t i = random.between(0, 1) == 0 ? 0 : conv.out_channels; i > 0; --i) {
    problem.bias.push_back(static_cast<float>(i) / 7);
  }
  return problem;
}

int64_t largest_magnitude(const Problem& problem) {
  const Convolution& conv = problem.conv;
  int64_t largest = 0;
  for_each_phase(conv, [&](const auto& depth, const auto& height, const auto& width) {
    for (int64_t out = 0; out < conv.out_channels; ++out) {
      int64_t sum = 0;
      for (int64_t in = 0; in < conv.in_channels_per_group(); ++in) {
        for (int64_t d : depth) {
          for (int64_t h : height) {
            for (int64_t w : width) {
              sum += std::abs(problem.weight_at(out, in, d, h, w) - problem.zero_point(out));
            }
          }
        }
      }
      largest = std::max(largest, sum);
    }
  });
  return largest;
}

// What a sound buffer of the problem must show.
void check_view(const Problem& problem, const PackedMemory& memory, const PackedView& view) {
  ReferencePacked reference;
  pack_reference(problem, reference);
  const std::string context = describe(problem.conv);
  CHECK_EQUAL(
      std::memcmp(view.weight, reference.weight.data(), reference.weight.size()), 0, context);
  for (size_t i = 0; i < reference.column_sums.size(); ++i) {
    CHECK_EQUAL(view.column_sums[i], reference.column_sums[i], context);
  }
  for (int64_t out = 0; out < problem.conv.out_channels; ++out) {
    CHECK_EQUAL(view.scale(out), problem.scale(out), context);
    CHECK_EQUAL(view.zero_point(out), problem.zero_point(out), context);
    if (view.bias != nullptr && !problem.bias.empty()) {
      CHECK_EQUAL(view.bias[out], problem.bias[out], context);
    }
  }
  CHECK_EQUAL(view.bias == nullptr, problem.bias.empty(), context);
  CHECK_EQUAL(view.scale_count, static_cast<int64_t>(problem.scales.size()), context);
  CHECK_EQUAL(view.zero_point_count, static_cast<int64_t>(problem.zero_points.size()), context);
  CHECK_EQUAL(memory.size() % 64, 0U, context);
  std::vector<int8_t> unpacked(problem.weight.size());
  unpack_weight(view, unpacked.data());
  CHECK_EQUAL(unpacked == problem.weight, true, context);
}

void check_packing(const Problem& problem) {
  std::vector<uint8_t> first;
  for (WeightOrder order : kOrders) {
    const OrderedWeight weight(problem, order);
    PackSource source = source_of(problem);
    source.weight = weight.data();
    source.strides = weight.strides();
    for (const InstructionSetEntry& entry : instruction_sets()) {
      if (!entry.supported) {
        continue;
      }
      PackedMemory memory(packed_size(source));
      std::memset(memory.data(), 0xaa, memory.size());
      const PackResult result = pack(source, memory.data(), memory.size(), entry.set);
      std::ostringstream context_stream;
      context_stream << describe(problem.conv) << ", " << entry.name << ", order "
                     << static_cast<int>(order);
      const std::string context = context_stream.str();
      CHECK_EQUAL(result.largest_magnitude, largest_magnitude(problem), context);
      if (first.empty()) {
        check_view(problem, memory, view_packed(memory.data(), memory.size(), true));
        first.assign(memory.data(), memory.data() + memory.size());
      }
      CHECK_EQUAL(std::memcmp(first.data(), memory.data(), memory.size()), 0, context);
    }
  }
}

Convolution dilated(Convolution conv) {
  conv.dilation = {1, 2, 2};
  return conv;
}

const Test kTable("every path packs as the reference does, from every order of the weight", [] {
  Random random(1);
  Convolution three_dims = conv2d(12, 20, 3, 3);
  three_dims.spatial_dims = 3;
  three_dims.kernel[0] = 3;
  const Convolution kTable[] = {
      three_dims,
      conv2d(64, 64, 1, 1),
      conv2d(64, 64, 3, 3),
      conv2d(3, 64, 7, 7),
      conv2d(3, 32, 3, 3),
      conv2d(96, 24, 1, 1),
      conv2d(64, 64, 5, 5),
      conv2d(20, 36, 7, 7),
      dilated(conv2d(20, 36, 3, 3)),
      dilated(conv2d(21, 17, 3, 3)),
      conv2d(4, 4, 1, 2),
      conv2d(4, 17, 1, 2),
      conv2d(128, 40, 3, 1),
      conv2d(128, 520, 1, 3),
      conv2d(1024, 67, 1, 1),
      conv2d(2048, 68, 1, 1, 2),
      conv2d(130, 70, 3, 3),
      conv2d(64, 64, 3, 3, 16),
      conv2d(8, 16, 3, 3, 8),
      conv2d(16, 16, 1, 2, 16),
      conv2d(17, 17, 1, 2, 17),
      conv2d(960, 960, 3, 3, 960),
      conv2d(33, 33, 5, 5, 33),
      conv2d(40, 40, 11, 11, 40),
      conv2d(20, 20, 13, 13, 20),
      conv2d(8, 20, 11, 11),
      conv2d(5, 9, 13, 13),
      conv2d(1, 1, 1, 1),
      conv2d(4, 60, 3, 17),
      dilated(conv2d(300, 20, 1, 2))};
  for (const Convolution& conv : kTable) {
    for (int i = 0; i < 4; ++i) {
      check_packing(problem_of(conv, random));
    }
  }
});

const Test kTransposed("transposed convolutions pack phase by phase", [] {
  Random random(3);
  Convolution three_dims = conv2d(12, 20, 3, 2);
  three_dims.spatial_dims = 3;
  three_dims.kernel[0] = 4;
  const Convolution kTable[] = {
      transposed(three_dims, {2, 2, 2}),
      transposed(three_dims, {3, 1, 5}),
      transposed(conv2d(64, 64, 2, 2), {1, 2, 2}),
      transposed(conv2d(64, 48, 4, 4), {1, 2, 2}),
      transposed(conv2d(100, 70, 4, 4), {1, 1, 1}),
      transposed(conv2d(24, 3, 9, 9), {1, 3, 3}),
      transposed(conv2d(3, 20, 7, 7), {1, 2, 2}),
      transposed(conv2d(2048, 18, 1, 2), {1, 1, 2}),
      transposed(dilated(conv2d(20, 36, 3, 3)), {1, 2, 2}),
      transposed(dilated(conv2d(20, 36, 3, 3)), {1, 3, 4}),
      transposed(conv2d(1, 1, 1, 1), {1, 7, 7}),
      transposed(conv2d(12, 18, 3, 4, 3), {1, 2, 2}),
      transposed(conv2d(8, 8, 3, 3, 8), {1, 2, 2}),
      transposed(conv2d(40, 40, 4, 4, 40), {1, 2, 2}),
      transposed(conv2d(33, 33, 1, 1, 33), {1, 2, 2}),
      transposed(conv2d(20, 20, 13, 13, 20), {1, 5, 4}),
      transposed(conv2d(16, 32, 2, 2, 16), {1, 2, 2})};
  for (const Convolution& conv : kTable) {
    for (int i = 0; i < 4; ++i) {
      check_packing(problem_of(conv, random));
    }
  }
});

const Test kSweep("as do 600 random convolutions", [] {
  Random random(2);
  for (int i = 0; i < 600; ++i) {
    const int64_t groups = random.between(0, 2) == 0 ? random.between(2, 6) : 1;
    const bool depthwise = random.between(0, 4) == 0;
    Convolution conv = depthwise
        ? conv2d(random.between(2, 70), 0, random.between(1, 7), random.between(1, 7))
        : conv2d(
              groups * random.between(1, 70), groups * random.between(1, 40), random.between(1, 5),
              random.between(1, 5), groups);
    if (depthwise) {
      conv.groups = conv.out_channels = conv.in_channels;
    }
    conv.dilation[1] = random.between(1, 2);
    conv.dilation[2] = random.between(1, 2);
    if (random.between(0, 2) == 0) {
      conv = transposed(conv, {1, random.between(1, 5), random.between(1, 5)});
    }
    check_packing(problem_of(conv, random));
  }
});

const Test kGroups("as do groups that share blocks", [] {
  Random random(3);
  for (const auto& [in, out] : {std::pair{4, 4}, {8, 8}, {16, 16}, {12, 8}, {4, 16}}) {
    for (const int64_t groups : {2, 3, 4, 5, 9}) {
      Convolution conv =
          conv2d(groups * in, groups * out, random.between(1, 3), random.between(1, 4), groups);
      conv.dilation[2] = random.between(1, 2);
      check_packing(problem_of(conv, random));
    }
  }
});

Problem small_problem(const Convolution& conv, int8_t value = 1) {
  return {
      .conv = conv,
      .weight = std::vector<int8_t>(static_cast<size_t>(conv.weights()), value),
      .scales = {0.5},
      .zero_points = {0},
      .bias = {}};
}

std::string pack_error(const PackSource& source) {
  return error_of([&] {
    PackedMemory memory(packed_size(source));
    pack(source, memory.data(), memory.size());
  });
}

const Test kErrors("values that can't be run are refused by name", [] {
  Problem problem = small_problem(conv2d(2, 2, 1, 1));
  const double inf = INFINITY;
  const auto with_scales = [&](std::vector<double> scales) {
    problem.scales = std::move(scales);
    return pack_error(source_of(problem));
  };
  CHECK_CONTAINS(with_scales({0.0}), "scale must be positive, finite and normal, got 0");
  CHECK_CONTAINS(with_scales({1.0, -1.0}), "scale of output channel 1 must be positive");
  CHECK_CONTAINS(with_scales({inf}), "got inf");
  CHECK_CONTAINS(with_scales({NAN}), "got nan");
  CHECK_CONTAINS(with_scales({1e-310}), "finite and normal");
  CHECK_EQUAL(with_scales({1e-300, 1e300}), "no error");
  problem.zero_points = {-129};
  CHECK_CONTAINS(pack_error(source_of(problem)), "zero point must be from -128 to 127, got -129");
  problem.zero_points = {3, 128};
  CHECK_CONTAINS(pack_error(source_of(problem)), "zero point of output channel 1 must be");
  problem.zero_points = {0};
  problem.bias = {1.0F, static_cast<float>(inf)};
  CHECK_CONTAINS(pack_error(source_of(problem)), "bias of output channel 1 must be finite");
  problem.bias = {};
  PackSource source = source_of(problem);
  alignas(64) uint8_t out[1024];
  CHECK_CONTAINS(error_of([&] { pack(source, out, 64); }), "bytes, got 64");
  CHECK_CONTAINS(error_of([&] { pack(source, out + 1, packed_size(source)); }), "aligned to 64");
  source.scales = nullptr;
  CHECK_CONTAINS(pack_error(source), "weight and scales must not be null");
});

const Test kMagnitude("sums over activations must fit int32", [] {
  // 33026 * 255 * 255 is the first to exceed it.
  for (int64_t in_channels : {33025, 33026}) {
    Problem problem = small_problem(conv2d(in_channels, 1, 1, 1), -128);
    problem.zero_points = {127};
    const std::string error = pack_error(source_of(problem));
    if (in_channels == 33025) {
      CHECK_EQUAL(error, "no error");
    } else {
      CHECK_CONTAINS(error, "must fit int32, got a sum of 8421630");
    }
  }
});

const Test kSizes("large weights cost about a byte each", [] {
  const auto ratio = [](const Convolution& conv) {
    Problem problem = small_problem(conv);
    problem.scales.assign(static_cast<size_t>(conv.out_channels), 0.5);
    problem.bias.assign(static_cast<size_t>(conv.out_channels), 1.0F);
    const auto size = static_cast<double>(packed_size(source_of(problem)));
    return size / static_cast<double>(conv.weights());
  };
  CHECK_EQUAL(ratio(conv2d(256, 1024, 1, 1)) <= 1.05, true);
  CHECK_EQUAL(ratio(conv2d(64, 192, 3, 3)) <= 1.05, true);
  CHECK_EQUAL(ratio(conv2d(512, 512, 3, 3)) <= 1.05, true);
  CHECK_EQUAL(ratio(conv2d(960, 320, 1, 1)) <= 1.05, true);
  CHECK_EQUAL(ratio(conv2d(116, 58, 5, 5)) <= 1.35, true);
  CHECK_EQUAL(ratio(conv2d(130, 130, 3, 3)) <= 1.35, true);
  CHECK_EQUAL(ratio(conv2d(100, 100, 5, 5, 4)) <= 1.35, true);
  CHECK_EQUAL(ratio(conv2d(10000, 17, 1, 1)) <= 1.35, true);
  CHECK_EQUAL(ratio(transposed(conv2d(512, 256, 2, 2), {1, 2, 2})) <= 1.05, true);
  CHECK_EQUAL(ratio(transposed(conv2d(256, 128, 4, 4), {1, 2, 2})) <= 1.05, true);
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
