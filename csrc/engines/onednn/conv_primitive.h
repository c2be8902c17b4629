#pragma once

#include <c10/core/ScalarType.h>
#include <c10/util/FunctionRef.h>

#include <array>
#include <optional>

#include "engines/engine.h"
#include "engines/onednn/library.h"

namespace qconv::onednn {

// All that is baked into a primitive of one packed convolution. Scales and zero points of input and
// output are not: oneDNN takes them at execution.
struct PrimitiveKey {
  int64_t batch = 0;
  std::array<int64_t, 3> input_size{};
  // oneDNN shares the work out when it makes a primitive.
  int threads = 1;
  c10::ScalarType output = c10::ScalarType::Byte;
  PointwiseFunction function = PointwiseFunction::kNone;
  float lower = 0, upper = 0;
  float slope = 0;
  bool adds = false;
  c10::ScalarType addend = c10::ScalarType::Byte;
  float addend_scale = 1;
  int32_t addend_zero_point = 0;

  bool operator==(const PrimitiveKey&) const = default;
};

// With the number of threads that torch gives this thread.
PrimitiveKey primitive_key(const RunShape& shape, const Epilogue& epilogue, c10::ScalarType output);

// The weight's sizes in oneDNN's order: [out, in, kernel...], or with groups
// [groups, out/groups, in/groups, kernel...], forward and transposed alike.
dnnl::memory::dims weight_dims(const ConvGeometry& geometry);

// oneDNN's best implementation that is known to be right and that `accept` takes, or nullopt where
// it has none.
// weight: the packed weight's layout, or nullptr to let oneDNN choose one.
using Accept = c10::function_ref<bool(const dnnl::primitive_desc&)>;
std::optional<dnnl::primitive_desc> find_implementation(
    const ConvDescription& conv, bool no_pair_saturates, const RunShape& shape,
    const PrimitiveKey& key, const dnnl::memory::desc* weight, Accept accept);

}  // namespace qconv::onednn
