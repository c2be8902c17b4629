#include "native/kernels/kernel_set.h"

#include "native/kernels/avx2/dense.h"
#include "native/kernels/avx512_vnni/dense.h"
#include "native/kernels/avx_vnni/dense.h"
#include "native/kernels/scalar/dense.h"

namespace qconv::native {
namespace {

constexpr KernelSet kScalar{.set = InstructionSet::kScalar, .dense = dense_scalar};

#if defined(__x86_64__)
constexpr KernelSet kAvx2{
    .set = InstructionSet::kAvx2, .dense = dense_avx2, .wide_activations = true};
constexpr KernelSet kAvxVnni{.set = InstructionSet::kAvxVnni, .dense = dense_avx_vnni};
constexpr KernelSet kAvx512Vnni{.set = InstructionSet::kAvx512Vnni, .dense = dense_avx512_vnni};
#endif

}  // namespace

const KernelSet* kernel_set(InstructionSet set) {
  switch (set) {
    case InstructionSet::kScalar:
      return &kScalar;
#if defined(__x86_64__)
    case InstructionSet::kAvx2:
      return &kAvx2;
    case InstructionSet::kAvxVnni:
      return &kAvxVnni;
    case InstructionSet::kAvx512Vnni:
      return &kAvx512Vnni;
#endif
    default:
      return nullptr;
  }
}

}  // namespace qconv::native
