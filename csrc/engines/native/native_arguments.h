#pragma once

#include "conv/check_input.h"
#include "conv/geometry.h"
#include "engines/engine.h"
#include "native/format/weight_strides.h"
#include "native/run/run.h"

namespace qconv {

// Depth, height and width, `missing` for dimensions that the convolution lacks.
native::Extent to_extent(const Dims& dims, int64_t missing);

native::Convolution to_native(const ConvGeometry& geometry);

// strides: of the weight, forward [out, in/groups, kernel...], transposed [in, out/groups,
// kernel...].
native::WeightStrides to_native_strides(const ConvGeometry& geometry, c10::IntArrayRef strides);

native::RunInput to_native(const RunShape& shape, const Activation& input);

// torch's threads; just the calling one within a parallel region.
native::ParallelFor torch_parallel_for();

}  // namespace qconv
