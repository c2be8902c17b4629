#include "tested_kernels.h"

#include <cstdio>

#include "native/cpu/instruction_set.h"

namespace qconv::native::test {

std::vector<TestedKernel> tested_kernels(
    DenseKernel KernelSet::* place, DenseKernel KernelSet::* below_128,
    [[maybe_unused]] DenseKernel avx_vnni_evex) {
  std::vector<TestedKernel> found;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    const KernelSet* const set = kernel_set(entry.set);
    if (entry.supported && set->*place != nullptr) {
      found.push_back({entry.name, set->*place, set->widen != nullptr, set->reads_padding});
    }
    if (entry.supported && set->*below_128 != nullptr) {
      const std::string name = entry.name + std::string(", activations below 128");
      found.push_back({name, set->*below_128, false, set->reads_padding, 127});
    }
  }
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl")) {
    found.push_back({"avx_vnni, encoded as EVEX", avx_vnni_evex, false, false});
  }
#endif
  return found;
}

void print_kernels(uint64_t seed, const std::vector<TestedKernel>& kernels) {
  std::printf("seed %lu, kernels:", static_cast<unsigned long>(seed));
  for (const TestedKernel& kernel : kernels) {
    std::printf(" [%s]", kernel.name.c_str());
  }
  std::printf("\n");
}

}  // namespace qconv::native::test
