#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qconv::native {

// Each one needs all that stand before it, except that avx_vnni (client CPUs) and avx512_vnni
// (servers) come apart on some machines.
enum class InstructionSet { kScalar, kAvx2, kAvxVnni, kAvx512Vnni, kAmxInt8 };

// One way to compute, by the name that TORCH_QCONV_ISA, `info` and messages use.
struct InstructionSetEntry {
  InstructionSet set;
  const char* name;  // "scalar", "avx2", "avx_vnni", "avx512_vnni", "amx_int8"
  bool compiled;     // this build has its kernels
  bool supported;    // CPU and operating system can run them
};

// All of them, least capable first.
const std::vector<InstructionSetEntry>& instruction_sets();

const char* instruction_set_name(InstructionSet set);

// The most capable one that is compiled and supported, for what gives the same on any.
InstructionSet most_capable_instruction_set();

// The most capable one that is compiled, supported and not above TORCH_QCONV_ISA (read at every
// call, so that tests can change it). Raises std::invalid_argument, listing the valid names, where
// that variable holds an unknown or unavailable one.
InstructionSet best_instruction_set();

}  // namespace qconv::native
