#include "native/run/single_pixel_run.h"

#include <algorithm>
#include <optional>

#include "native/rounding.h"
#include "native/run/dense_call.h"
#include "native/run/factors.h"
#include "native/run/parts.h"
#include "native/run/scratch.h"
#include "native/run/thread_count.h"
#include "native/run/unreached_fill.h"

namespace qconv::native {
namespace {

constexpr Extent kOnePixel{1, 1, 1};

// A stride so long that no two taps and no second input reach the same output: every tap is a phase
// of its own, at position 0.
Convolution with_taps_apart(const Convolution& conv, const Extent& output_size) {
  Convolution apart = conv;
  for (size_t i = 0; i < apart.stride.size(); ++i) {
    apart.stride[i] =
        std::max((conv.kernel[i] - 1) * conv.dilation[i], output_size[i] + conv.padding[i]) + 1;
  }
  return apart;
}

// Where a tap is packed: a phase, and the first of its quads in a block.
struct PackedTap {
  int64_t phase = 0;
  int64_t quad = 0;
};

// place: in the kernel.
PackedTap packed_tap(const Phases& phases, const Layout& layout, const Extent& place) {
  PackedTap packed;
  int64_t tap = 0;
  int64_t column = 0;  // in a folded tap
  for (size_t i = 0; i < place.size(); ++i) {
    const PhaseAxis& axis = phases.axis(i);
    const int64_t number = place[i] % axis.tap_step;
    const int64_t taps = axis.taps_of(number);
    const int64_t in_phase = taps - 1 - place[i] / axis.tap_step;
    packed.phase = packed.phase * axis.count + number;
    if (i == 2 && layout.folds_width) {
      column = in_phase;
    } else {
      tap = tap * taps + in_phase;
    }
  }
  const Phase phase = phases.at(packed.phase);
  packed.quad =
      tap * phase.layout.quads_per_tap() + column * (phase.conv.in_channels_per_group() / kQuad);
  return packed;
}

class SinglePixelRun {
 public:
  explicit SinglePixelRun(const ConvRun& run)
      : run_(run),
        taps_(with_taps_apart(run.packed.conv, run.output_size), run.output_size),
        phases_(run.packed.conv),
        apart_{
            .packed = run.packed,
            .input = run.input,
            .output_size = run.output_size,
            .phases = taps_,
            .reached = run.reached,
            .kernels = run.kernels,
            .parallel_for = run.parallel_for,
            .plan = run.plan} {
    apart_.plan.requantization = run.plan.requantization_from(run.phases.count(), 0);
    apart_.plan.table_stride = 0;
  }

  void run() {
    prepare_pixels();
    fill_unreached(apart_);
    const int threads = useful_threads(run_);
    share_parts(run_.parallel_for, threads, taps_.count(), [&](PartTaker& taker) {
      while (const std::optional<int64_t> tap = taker.next()) {
        const RunPhase place = taps_.at(*tap);
        if (place.has_outputs()) {
          run_tap(place);
        }
      }
    });
  }

 private:
  // Those of all images, and one of the input's zero point.
  void prepare_pixels() {
    const int64_t channels = run_.packed.conv.in_channels;
    const int64_t count = run_.input.batch * channels;
    pixels_ = static_cast<uint8_t*>(scratch(
        ScratchUse::kActivation,
        static_cast<size_t>((count + channels + kReadableBeyond) * element_bytes())));
    const auto zero_point = run_.input.zero_point;
    if (run_.kernels.widen == nullptr) {
      uint8_t* const end = std::copy_n(run_.input_bytes(), count, pixels_);
      std::fill_n(end, channels + kReadableBeyond, static_cast<uint8_t>(zero_point));
    } else {
      auto* const pixels = reinterpret_cast<uint16_t*>(pixels_);
      run_.kernels.widen(run_.input_bytes(), count, pixels);
      std::fill_n(pixels + count, channels + kReadableBeyond, static_cast<uint16_t>(zero_point));
    }
  }

  void run_tap(const RunPhase& place) const {
    const Extent& size = run_.output_size;
    const int64_t pixels_of_image = size[0] * size[1] * size[2];
    const int64_t pixel =
        (place.axes[0].first_output * size[1] + place.axes[1].first_output) * size[2] +
        place.axes[2].first_output;
    const PackedTap tap = packed_tap(phases_, run_.packed.layout, place.phase.first_tap);
    const int64_t batch = run_.input.batch;
    if (run_.input.zero_point == 0) {
      call_kernel(tap, batch, false, run_.output_at(pixel, 0), pixels_of_image);
      return;
    }
    const int64_t channels = run_.packed.conv.out_channels;
    auto* const sums = static_cast<int32_t*>(scratch(
        ScratchUse::kTapSums,
        static_cast<size_t>((batch + 2) * readable_channels(channels)) * sizeof(int32_t)));
    call_kernel(tap, batch + 1, true, sums, 1);
    const int32_t* const zero_point_sums = sums + batch * channels;
    int32_t* const negated = sums + (batch + 1) * channels;
    for (int64_t image = 0; image < batch; ++image) {
      for (int64_t c = 0; c < channels; ++c) {
        negated[c] = zero_point_sums[c] - sums[image * channels + c];
      }
      write_pixels(apart_, negated, image * pixels_of_image + pixel, 1, 1);
    }
  }

  // The first `count` pixels. output: of channel 0 of the first one; output_step: pixels of the
  // output from one to the next.
  void call_kernel(
      const PackedTap& tap, int64_t count, bool to_sums, void* output, int64_t output_step) const {
    static constexpr int64_t kNoOffset = 0;
    const Convolution& conv = run_.packed.conv;
    const int64_t blocks = conv.groups * run_.packed.layout.blocks;
    for_each_group(run_, tap.phase * blocks, blocks, [&](const PhaseBlocks& part) {
      DenseArguments arguments = block_arguments(apart_, part);
      arguments.taps = 1;
      arguments.tap_offsets = &kNoOffset;
      arguments.weight += tap.quad * kQuad * kBlockColumns;
      // Without quads beyond the tap's, where a folded one has those of the next column.
      const int64_t quads = ceil_divide(conv.in_channels_per_group(), kQuad);
      arguments.used_quads = quads;
      arguments.k_blocks = ceil_divide(quads, kQuadsPerTile);
      while (quads % arguments.k_blocks != 0) {
        ++arguments.k_blocks;
      }
      arguments.quads = quads / arguments.k_blocks;
      arguments.activation = pixels_ + part.group * conv.in_channels_per_group() * element_bytes();
      arguments.pixels = count;
      arguments.pixel_stride = conv.in_channels;
      arguments.store = to_sums ? Store::kSums : Store::kBytes;
      const int64_t element_bytes = to_sums ? sizeof(int32_t) : 1;
      arguments.output = {
          static_cast<uint8_t*>(output) + part.channel * element_bytes,
          output_step * conv.out_channels, 0, count, count};
      Phase single = part.phase.phase;
      single.layout.depth = conv.in_channels_per_group();
      set_activation_sums(run_, single, arguments);
      run_.kernels.dense(arguments);
    });
  }

  int64_t element_bytes() const { return run_.kernels.widen == nullptr ? 1 : 2; }

  const ConvRun& run_;
  const RunPhases taps_;  // each tap a phase
  const Phases phases_;   // in which weights are packed
  ConvRun apart_;         // with taps_; all factors are those of sums without an input's zero point
  uint8_t* pixels_ = nullptr;
};

}  // namespace

bool can_run_single_pixel(const ConvRun& run) {
  const Convolution& conv = run.packed.conv;
  const Layout& layout = run.packed.layout;
  // Columns that are folded into a tap begin with a quad only then. Taps of blocks with fewer
  // columns lie at other distances.
  const bool quads = !layout.folds_width || conv.in_channels_per_group() % kQuad == 0;
  return conv.transposed && run.input.size == kOnePixel && conv.taps() > 1 &&
      run.plan.store == Store::kBytes && run.input_flip() == 0 && quads &&
      layout.last_columns == kBlockColumns;
}

void run_single_pixel(const ConvRun& run) {
  SinglePixelRun(run).run();
}

std::string describe_single_pixel(const ConvRun& run) {
  const int64_t taps = run.packed.conv.taps();
  return "a 1x1 convolution for each of " + std::to_string(taps) + " taps, " +
      parts_on_threads(useful_threads(run), taps);
}

}  // namespace qconv::native
