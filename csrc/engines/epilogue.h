#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>

#include "native/epilogue.h"

namespace qconv {

// What becomes of the real numbers of a convolution on their way to the output.

struct OutputQuantization {
  double scale = 1;
  int32_t zero_point = 0;
};

// The post-ops that every engine has in its own uint8 epilogue.
enum class PostOp { kNone, kRelu };

// Its definitions, and the code that computes it for engines that don't, are the native core's.
using native::PointwiseFunction;

// A tensor of the output's shape and memory order, added to the convolution.
struct Addend {
  const void* data = nullptr;
  // kByte or kChar with quantization, real = (q - zero_point) * scale; kFloat or kBFloat16 without.
  c10::ScalarType dtype = c10::ScalarType::Byte;
  OutputQuantization quantization;
};

// output = function(convolution + addend)
struct Epilogue {
  std::optional<Addend> addend;
  PointwiseFunction function = PointwiseFunction::kNone;
  // Ends of kHardtanh.
  double lower = 0;
  double upper = 0;
  double slope = 0;  // of kLeakyRelu
};

// Where the output goes, in memory order [batch, spatial..., channels]. It may be the addend's own
// memory where both have the same dtype.
struct Output {
  void* data = nullptr;
  // kByte or kChar with quantization; kFloat or kBFloat16 without.
  c10::ScalarType dtype = c10::ScalarType::Byte;
  OutputQuantization quantization;
};

// The same for the native core.
native::Epilogue to_native(const Epilogue& epilogue);
native::RunOutput to_native(const Output& output);

// The epilogue on real numbers, for engines that don't fuse it, on all threads.
void apply_epilogue(
    const float* real, int64_t count, const Epilogue& epilogue, const Output& output);

}  // namespace qconv
