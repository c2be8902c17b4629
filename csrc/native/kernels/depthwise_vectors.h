// Depthwise convolution with vectors, for any instruction set: kernel files include this below
// their target pragma and the standard headers, once each.
//
// A vector of input is kChannels bytes (32 or 64): neighbouring channels of one pixel, or, at the
// end of the channels, two or four parts of fewer channels from as many output rows apart.
// make_bundles interleaves such vectors of several input rows (see DepthwisePlan) into four vectors
// whose lanes are channels; they go to a small buffer that slides along the row, a few columns
// ahead of their use. compute_tile adds up their products with the weights for a tile of one or two
// rows by a few columns of output, one of the four vectors after the other. Interleaving and
// packing to bytes both work within 128-bit lanes, each undoing the other's order.
//
// `Isa` names the instructions:
//   Vector; kChannels of one; kLaneValues, input values that a lane holds; kTileRows, kTileColumns;
//   load, store, zero; load_parts<kParts>(pointers), store_parts(to, offset, vector, parts);
//   store_lane<kLane>(to, vector), of 128 bits; flip(bytes, bits), exclusive or;
//   interleave(sources, bundle), interleave_weights(sources, bundle); dot(sum, bundle, weight);
//   subtract_product(sums, a, b); round(sums, multiplier, offset); words(a, b, shift);
//   bytes(a, b); clamp(bytes, range, low);
//   kHas3x3: there are registers for depthwise_3x3.h, which also needs load_once(from) and
//   dot_memory<kOffset>(sum, bundle, weights).

#include "native/kernels/depthwise_3x3.h"
#include "native/kernels/depthwise_tiles.h"

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

template <typename Isa, int kParts, Store kStore>
void compute_block(Block& block) {
  const DepthwiseArguments& arguments = *block.arguments;
  const int64_t rows = block.plan->output_rows;
  auto* const output = static_cast<uint8_t*>(arguments.output);
  for (int64_t row = 0; row < arguments.output_rows; row += rows * kParts) {
    // Parts for which no rows are left compute the last ones again.
    const int64_t last = larger(arguments.output_rows - rows, 0);
    int64_t first_rows[kParts];
    for (int part = 0; part < kParts; ++part) {
      first_rows[part] = kParts == 1 ? row : smaller(row + part * rows, last);
      for (int64_t r = 0; r < rows; ++r) {
        block.outputs[r][part] = output +
            ((first_rows[part] + r) * arguments.output_row_stride + block.channel) *
                element_bytes(kStore);
      }
    }
    point_at_rows<Isa>(block, first_rows);
    const int64_t left = smaller(rows, arguments.output_rows - first_rows[0]);
    if constexpr (Isa::kHas3x3) {
      if (block.is_3x3 && block.stride == 2) {
        compute_rows_3x3_stride_2<Isa, kParts, kStore>(block);
        continue;
      }
      if (block.is_3x3 && left == 2) {
        compute_rows_3x3<Isa, kParts, 2, kStore>(block);
        continue;
      }
      if constexpr (kParts == 1) {  // several parts have all their rows
        if (block.is_3x3) {
          compute_rows_3x3<Isa, kParts, 1, kStore>(block);
          continue;
        }
      }
    }
    compute_rows<Isa, kParts, kStore>(block, left);
  }
}

template <typename Isa, Store kStore>
void depthwise_storing(const DepthwiseArguments& arguments) {
  constexpr int64_t kVectorBytes = Isa::kChannels;
  Block block = {};
  block.arguments = &arguments;
  block.stride = arguments.output_columns == 1 ? 1 : arguments.stride;
  DepthwiseShape shape{
      arguments.kernel_rows, arguments.kernel_columns,           arguments.row_step, block.stride,
      arguments.dilation,    arguments.output_rows == 1 ? 1 : 2, Isa::kLaneValues};
  block.is_3x3 = false;
  // These plans have one bundle, and one tap for each column of the kernel, from left to right.
  if constexpr (Isa::kHas3x3) {
    block.is_3x3 = arguments.weight_zero_points == nullptr && shape.kernel_rows == 3 &&
        shape.kernel_columns == 3 && shape.dilation == 1 &&
        ((shape.stride == 1 && shape.row_step == 1 && shape.most_output_rows == 2) ||
         shape.stride == 2);
    if (block.is_3x3 && shape.stride == 2) {
      shape.most_output_rows = 1;
    }
  }
  block.plan = &plan_depthwise(shape);
  const DepthwisePlan& plan = *block.plan;
  block.bundle_count = plan.bundle_count;
  block.position_bytes = block.bundle_count * kVectors * kVectorBytes;
  const int64_t reach = (arguments.kernel_columns - 1) * arguments.dilation;
  block.most_positions = larger(
      reach + 1 + (Isa::kTileColumns - 1) * block.stride, kBufferBytes / block.position_bytes);
  for (int users = 0; users < kUsers; ++users) {
    block.tap_counts[users] = plan.tap_counts[users];
  }
  uint8_t* const memory = depthwise_memory(lay_out<Isa>(block, nullptr));
  lay_out<Isa>(block, memory);
  for (int64_t channel = 0; channel < arguments.channels;) {
    // The widest part that isn't filled by half of it; the last block overlaps the one before.
    const int64_t left = arguments.channels - channel;
    int64_t width = Isa::kChannels;
    while (width > kPartChannels && (width / 2 >= left || width > arguments.channels)) {
      width /= 2;
    }
    block.channel = smaller(channel, arguments.channels - width);
    block.part_width = width;
    block.parts = Isa::kChannels / width;
    fill_tables<Isa>(block);
    switch (block.parts) {
      case 1:
        compute_block<Isa, 1, kStore>(block);
        break;
      case 2:
        compute_block<Isa, 2, kStore>(block);
        break;
      default:
        if constexpr (Isa::kChannels / kPartChannels == 4) {
          compute_block<Isa, 4, kStore>(block);
        }
        break;
    }
    channel += width;
  }
}

template <typename Isa>
void depthwise(const DepthwiseArguments& arguments) {
  if (arguments.channels < kNarrowChannels) {
    depthwise_narrow(arguments, depthwise<Isa>);
  } else if (arguments.store == Store::kSums) {
    depthwise_storing<Isa, Store::kSums>(arguments);
  } else {
    depthwise_storing<Isa, Store::kBytes>(arguments);
  }
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
