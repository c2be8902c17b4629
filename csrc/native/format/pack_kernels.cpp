#include "native/format/pack_kernels.h"

namespace qconv::native {

const PackKernels& pack_kernels(InstructionSet set) {
  switch (set) {
#if defined(__x86_64__)
    case InstructionSet::kAmxInt8:
    case InstructionSet::kAvx512Vnni:
      return kPackKernelsAvx512Vnni;
    case InstructionSet::kAvxVnni:
    case InstructionSet::kAvx2:
      return kPackKernelsAvx2;
#endif
    default:
      return kPackKernelsScalar;
  }
}

}  // namespace qconv::native
