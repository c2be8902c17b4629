#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/kernels/kernel_set.h"

namespace qconv::native::test {

// A kernel with DenseArguments, and what it takes.
struct TestedKernel {
  std::string name;
  DenseKernel run;
  bool wide_activations;
  bool reads_padding;
  int64_t largest_activation = 255;
};

// Those that this machine can run: of every instruction set the one in this place of its kernel
// set, the one there for activations below 128 if it has any, and `avx_vnni_evex`, AVX-VNNI's as
// AVX512-VNNI machines can run it.
std::vector<TestedKernel> tested_kernels(
    DenseKernel KernelSet::* place, DenseKernel KernelSet::* below_128, DenseKernel avx_vnni_evex);

void print_kernels(uint64_t seed, const std::vector<TestedKernel>& kernels);

}  // namespace qconv::native::test
