#include "native/run/inside_run.h"

#include "native/run/row_runs.h"
#include "native/run/scratch.h"

namespace qconv::native {
namespace {

constexpr Extent kOnes{1, 1, 1};

int64_t pixel_of(const Extent& size, const Extent& place) {
  return (place[0] * size[1] + place[1]) * size[2] + place[2];
}

}  // namespace

bool InsideRun::can(const ConvRun& run) {
  const Convolution& conv = run.packed.conv;
  const Layout& layout = run.packed.layout;
  if (conv.transposed || conv.stride != kOnes || conv.taps() == 1 ||
      layout.kind != LayoutKind::kDense || layout.folds_width || layout.folded_rows != 1) {
    return false;
  }
  // What kernels read of a tap must be there, unchanged.
  const int64_t quads = run.kernels.reads_padding ? layout.quads_per_tap() : layout.used_quads();
  return quads * kQuad == conv.in_channels_per_group() && run.kernels.widen == nullptr &&
      run.input_flip() == 0 && run.reached.stay_inside(conv, run.input.size);
}

// Of all taps, from the first one on.
const int64_t* InsideRun::tap_offsets() const {
  const Convolution& conv = run_.packed.conv;
  const Extent& kernel = conv.kernel;
  auto* const offsets = static_cast<int64_t*>(
      scratch(ScratchUse::kTapOffsets, static_cast<size_t>(conv.taps()) * sizeof(int64_t)));
  for (int64_t tap = 0; tap < conv.taps(); ++tap) {
    const Extent input{
        tap / kernel[2] / kernel[1] * conv.dilation[0],
        tap / kernel[2] % kernel[1] * conv.dilation[1], tap % kernel[2] * conv.dilation[2]};
    offsets[tap] = pixel_of(run_.input.size, input) * conv.in_channels;
  }
  return offsets;
}

void InsideRun::run_area(int64_t plane, const Area& area, const PhaseBlocks& blocks) const {
  const auto run_chunk = [&](const PhaseBlocks& chunk) {
    DenseArguments arguments = block_arguments(run_, chunk);
    arguments.tap_offsets = tap_offsets();
    arguments.pixel_stride = run_.packed.conv.in_channels;
    for_each_cut(
        run_.reached, plane % run_.output_size[0], area,
        [&](const ReachedCut& cut, const Area& outputs) {
          run_cut(plane, cut, outputs, chunk, arguments);
        });
  };
  const bool one_run = run_.reached.all() && joins_rows(area);
  one_run ? run_chunk(blocks) : for_each_chunk(run_, blocks, run_chunk);
}

bool InsideRun::joins_rows(const Area& area) const {
  return plan_row_runs(run_.kernels.dense_runs, area.rows, area.columns, run_.input.size[2]).joined;
}

// Outputs of one cut.
void InsideRun::run_cut(
    int64_t plane, const ReachedCut& cut, const Area& area, const PhaseBlocks& blocks,
    DenseArguments arguments) const {
  const Convolution& conv = run_.packed.conv;
  const Extent& size = run_.input.size;
  const int64_t depth = plane % run_.output_size[0];
  const int64_t batch = plane / run_.output_size[0];
  const int64_t first_tap = leave_reached_taps(run_, blocks, cut, arguments);
  const int64_t first_value = blocks.input_group(run_) * conv.in_channels_per_group() + first_tap;
  const bool joined = joins_rows(area);
  arguments.pixels = joined ? (area.rows - 1) * size[2] + area.columns : area.columns;
  for (int64_t i = 0; i < (joined ? 1 : area.rows); ++i) {
    const Extent output{batch * run_.output_size[0] + depth, area.first_row + i, area.first_column};
    // Of the kernel's first tap: this may be one that was left out.
    const Extent input{
        batch * size[0] + depth - conv.padding[0], output[1] - conv.padding[1],
        output[2] - conv.padding[2]};
    arguments.activation =
        run_.input_bytes() + (pixel_of(size, input) * conv.in_channels + first_value);
    arguments.output = {
        run_.output_at(pixel_of(run_.output_size, output), blocks.channel), conv.out_channels,
        run_.output_size[2] * conv.out_channels, joined ? size[2] : area.columns, area.columns};
    call_dense_kernel(run_, blocks.phase.phase, arguments);
  }
}

}  // namespace qconv::native
