#pragma once

#include <cstdint>

#include "native/cpu/instruction_set.h"
#include "native/kernels/dense.h"
#include "native/kernels/depthwise.h"
#include "native/kernels/pointwise.h"

namespace qconv::native {

// Roughly what one thread does in a microsecond, to tell how many threads a run is worth: as a rule
// half of what a layer of a network reaches.
struct KernelSpeed {
  double multiply_adds = 1;
  double outputs = 1;
};

// What dense kernels like runs to be.
struct RunTraits {
  bool joins_rows = false;        // long: rows with the pixels between them
  bool computes_between = false;  // these pixels too, in vain
  // A run takes as long as one of a multiple of so many pixels, and a few more for its ends, where
  // tiles aren't full.
  int64_t multiple = 1;
  int64_t ends = 2;
};

// The kernels of one instruction set. Adding a set: one folder here, one line in kernel_set.cpp.
struct KernelSet {
  InstructionSet set = InstructionSet::kScalar;
  DenseKernel dense = nullptr;
  KernelSpeed dense_speed;
  // Where dense takes activations widened to uint16: copies `count` of them; else null.
  void (*widen)(const uint8_t* from, int64_t count, uint16_t* to) = nullptr;
  bool reads_padding = false;  // dense reads the activation under the zeros that pad a tap
  RunTraits dense_runs{};
  // Of activations that several blocks of channels pass over: what stays in the second-level cache
  // beside the weights that pass through it.
  int64_t window_bytes = 256 * 1024;
  // The same, faster, for uint8 activations that are all at most 127; null: `dense` is as fast.
  DenseKernel dense_below_128 = nullptr;
  bool (*all_below_128)(const uint8_t* activations, int64_t count) = nullptr;
  DenseKernel grouped = nullptr;            // for grouped layouts: takes what dense takes
  DenseKernel grouped_below_128 = nullptr;  // as dense_below_128
  RunTraits grouped_runs{};
  InstructionSet grouped_set = set;  // whose it is
  DepthwiseKernel depthwise = nullptr;
  KernelSpeed depthwise_speed;
  InstructionSet depthwise_set =
      set;  // whose it is: not every set has depthwise kernels of its own
  PointwiseKernel pointwise = nullptr;
  QuantizeKernel quantize = nullptr;
  // Asks the operating system for the right to use it, where one must ask; false: refused.
  bool (*request)() = nullptr;
};

// The set's kernels; nullptr where this build doesn't have them.
const KernelSet* kernel_set(InstructionSet set);

}  // namespace qconv::native
