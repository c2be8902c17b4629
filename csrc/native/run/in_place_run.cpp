#include "native/run/in_place_run.h"

#include <algorithm>
#include <cstring>

#include "native/rounding.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

// Pixels that kernels compute together, about.
constexpr int64_t kTilePixels = 32;

// Rows are joined to one run, with the pixels between them, if of so many one at least is theirs.
constexpr int64_t kFewestJoined = 2;

// Activations that the second-level cache doesn't hold, in bytes.
constexpr int64_t kFarActivation = 1024 * 1024;

constexpr Extent kZeros{0, 0, 0};
constexpr Extent kOnes{1, 1, 1};

int64_t pixels_of(const Extent& size) {
  return size[0] * size[1] * size[2];
}

}  // namespace

bool InPlaceRun::can(const ConvRun& run) {
  if (run.kernels.widen != nullptr || run.input_flip() != 0) {
    return false;
  }
  const Convolution& conv = run.packed.conv;
  if (!conv.transposed) {
    return conv.kernel == kOnes && conv.stride == kOnes && conv.padding == kZeros;
  }
  const Extent& first = run.phases.first_position();
  const Extent& positions = run.phases.positions();
  for (size_t i = 0; i < first.size(); ++i) {
    if (run.phases.reach()[i] != 0 || first[i] < 0 || first[i] + positions[i] > run.input.size[i]) {
      return false;
    }
  }
  return true;
}

InPlaceRun::InPlaceRun(const ConvRun& run) : run_(run) {
  const Extent& size = run.input.size;
  flat_ = run.phases.count() == 1 && run.packed.conv.stride == kOnes && run.output_size == size;
  if (flat_) {
    rows_ = run.input.batch * pixels_of(size);
  } else {
    const Extent& positions = run.phases.positions();
    planes_ = run.input.batch * positions[0];
    rows_ = positions[2] == 0 ? 0 : positions[1];
    columns_ = positions[2];
  }
}

void InPlaceRun::run_area(int64_t plane, const Area& area, const PhaseBlocks& blocks) const {
  if (flat_) {
    run_pixels({area.first_row, area.rows, area.first_row, 1, 0, area.rows, area.rows}, blocks);
    return;
  }
  const Extent& size = run_.input.size;
  const int64_t planes = run_.phases.positions()[0];
  const int64_t batch = plane / planes;
  const PhasePart part = run_.phases.part(blocks.phase, batch, plane % planes, area);
  if (part.rows == 0) {
    return;
  }
  const int64_t width = size[2];
  const bool joined = part.columns == width ||
      (run_.kernels.dense_runs.joins_rows && part.columns * kFewestJoined >= width);
  Pixels pixels;
  pixels.first = ((batch * size[0] + part.first_input[0]) * size[1] + part.first_input[1]) * width +
      part.first_input[2];
  pixels.output = part.first_pixel;
  pixels.output_step = part.pixel_step;
  pixels.output_row_step = part.row_step;
  pixels.row_width = part.columns;
  if (joined) {
    pixels.count = (part.rows - 1) * width + part.columns;
    pixels.row_pitch = width;
    run_pixels(pixels, blocks);
    return;
  }
  pixels.count = part.columns;
  pixels.row_pitch = part.columns;
  for (int64_t row = 0; row < part.rows; ++row) {
    run_pixels(pixels, blocks);
    pixels.first += width;
    pixels.output += part.row_step;
  }
}

// Input channels that a kernel of a grouped layout reads, from those of the first group on.
int64_t InPlaceRun::grouped_reach(const PhaseBlocks& blocks) const {
  const Convolution& conv = run_.packed.conv;
  const int64_t last_block = (blocks.blocks - 1) * kBlockColumns / conv.out_channels_per_group() *
      conv.in_channels_per_group();
  return last_block + conv.in_channels_per_group() - kQuad + kGroupedReach;
}

// A kernel may read beyond the channels of its group, but not beyond the tensor: the pixels for
// which it would are copied, and with them what isn't a whole tile, so that no weights are read for
// a few pixels only.
void InPlaceRun::run_pixels(const Pixels& pixels, const PhaseBlocks& blocks) const {
  if (pixels.count <= 0) {
    return;
  }
  const Layout& layout = blocks.phase.phase.layout;
  const int64_t in_channels = run_.packed.conv.in_channels;
  const int64_t read = layout.kind == LayoutKind::kGrouped
      ? grouped_reach(blocks)
      : kQuad * (run_.kernels.reads_padding ? layout.quads_per_tap() : layout.used_quads());
  const int64_t group_offset = blocks.input_group(run_) * run_.packed.conv.in_channels_per_group();
  const int64_t beyond = std::max<int64_t>(group_offset + read - in_channels, 0);
  const int64_t all = run_.input.batch * pixels_of(run_.input.size);
  const int64_t safe =
      std::clamp<int64_t>(all - ceil_divide(beyond, in_channels) - pixels.first, 0, pixels.count);
  // Runs of several rows are cut between two of them.
  const bool rows = pixels.row_pitch < pixels.count;
  const int64_t unit = rows ? pixels.row_pitch : kTilePixels;
  const int64_t split = safe == pixels.count ? safe : safe / unit * unit;
  const uint8_t* const activation = run_.input_bytes() + pixels.first * in_channels;
  if (split > 0) {
    Pixels head = pixels;
    head.count = split;
    call(head, activation + group_offset, blocks);
  }
  if (split < pixels.count) {
    Pixels tail = pixels;
    tail.count -= split;
    tail.output += rows ? split / unit * pixels.output_row_step : split * pixels.output_step;
    const int64_t bytes = tail.count * in_channels;
    auto* const copy =
        static_cast<uint8_t*>(scratch(ScratchUse::kTail, static_cast<size_t>(bytes + beyond)));
    std::memcpy(copy, activation + split * in_channels, static_cast<size_t>(bytes));
    std::memset(copy + bytes, 0, static_cast<size_t>(beyond));
    call(tail, copy + group_offset, blocks);
  }
}

void InPlaceRun::call(
    const Pixels& pixels, const uint8_t* activation, const PhaseBlocks& blocks) const {
  static constexpr int64_t kNoOffset = 0;
  const int64_t out_channels = run_.packed.conv.out_channels;
  DenseArguments arguments = block_arguments(run_, blocks);
  arguments.tap_offsets = &kNoOffset;
  arguments.comes_from_afar =
      run_.input.batch * pixels_of(run_.input.size) * run_.packed.conv.in_channels > kFarActivation;
  arguments.pixel_stride = run_.packed.conv.in_channels;
  set_tap_runs(arguments);
  arguments.activation = activation;
  arguments.pixels = pixels.count;
  arguments.output = {
      run_.output_at(pixels.output, blocks.channel), pixels.output_step * out_channels,
      pixels.output_row_step * out_channels, pixels.row_pitch, pixels.row_width};
  call_dense_kernel(run_, blocks.phase.phase, arguments);
}

}  // namespace qconv::native
