#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "engines/engine.h"
#include "engines/exact/weight_facts.h"
#include "engines/fbgemm/requantization.h"

namespace qconv {

// One way in which FBGEMM runs a convolution.
class FbgemmKernel {
 public:
  virtual ~FbgemmKernel() = default;
  virtual const char* name() const = 0;
  // Whether the kernel is right for an input of this size.
  virtual bool can_run(const RunShape& shape) const = 0;
  virtual void run(
      const RunShape& shape, const Activation& input, const RequantizationScales& scales,
      int32_t output_zero_point, PostOp post_op, uint8_t* output) const = 0;
  // Returns false where the kernel has no float output.
  virtual bool run_to_float(
      const RunShape& shape, const Activation& input, float* output) const = 0;
  // Writes the weight in the order in which it came.
  virtual void unpack(int8_t* grouped_weight) const = 0;
  virtual int64_t nbytes() const = 0;
};

// Matrix product over im2col (or over the activation itself for 1x1 kernels). Exact on CPUs with
// AVX512-VNNI, and elsewhere for weights of which no pair saturates.
std::unique_ptr<const FbgemmKernel> make_gemm_kernel(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts);

// Bytes of the weight packed for matrix products. FBGEMM rounds every group up to whole blocks, and
// computes this number with int.
int64_t packed_weight_bytes(const ConvGeometry& geometry);

// FBGEMM's depthwise and groupwise kernels, which use vpmaddubsw on every CPU.
std::unique_ptr<const FbgemmKernel> make_specialized_kernel(
    std::shared_ptr<const ConvDescription> conv, const at::Tensor& grouped_weight,
    const WeightFacts& facts);

}  // namespace qconv
