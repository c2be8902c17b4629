#include "native/cpu/instruction_set.h"

#include <cstdlib>
#include <stdexcept>

#include "native/kernels/kernel_set.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace qconv::native {
namespace {

#if defined(__x86_64__)

struct CpuidResult {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidResult cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidResult result;
  __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
  return result;
}

bool has_bit(uint32_t value, int bit) {
  return (value >> bit & 1) != 0;
}

// The parts of the register file that the operating system saves (XCR0); 0 where it saves none.
uint64_t saved_registers() {
  constexpr int kOsxsave = 27;
  if (!has_bit(cpuid(1, 0).ecx, kOsxsave)) {
    return 0;
  }
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Bits of CPUID and XCR0: Intel's Software Developer's Manual, volume 2A (CPUID) and 1 (13.3).
bool supports(InstructionSet set) {
  constexpr uint64_t kYmmState = 0x6;
  constexpr uint64_t kZmmState = 0xe6;
  const uint64_t saved = saved_registers();
  const CpuidResult basic = cpuid(1, 0);
  const CpuidResult extended = cpuid(7, 0);
  const bool avx2 = (saved & kYmmState) == kYmmState && has_bit(basic.ecx, 12) /* FMA */ &&
      has_bit(extended.ebx, 5) /* AVX2 */;
  const bool avx512_vnni = avx2 && (saved & kZmmState) == kZmmState &&
      has_bit(extended.ebx, 16) /* F */ && has_bit(extended.ebx, 17) /* DQ */ &&
      has_bit(extended.ebx, 30) /* BW */ && has_bit(extended.ebx, 31) /* VL */ &&
      has_bit(extended.ecx, 11) /* VNNI */;
  switch (set) {
    case InstructionSet::kScalar:
      return true;
    case InstructionSet::kAvx2:
      return avx2;
    case InstructionSet::kAvxVnni:
      return avx2 && has_bit(cpuid(7, 1).eax, 4);
    case InstructionSet::kAvx512Vnni:
      return avx512_vnni;
    case InstructionSet::kAmxInt8:
      return avx512_vnni && kernel_set(set) != nullptr && kernel_set(set)->request != nullptr &&
          kernel_set(set)->request();
  }
  return false;
}

#else

bool supports(InstructionSet set) {
  return set == InstructionSet::kScalar;
}

#endif

std::vector<InstructionSetEntry> find_instruction_sets() {
  std::vector<InstructionSetEntry> entries;
  for (InstructionSet set :
       {InstructionSet::kScalar, InstructionSet::kAvx2, InstructionSet::kAvxVnni,
        InstructionSet::kAvx512Vnni, InstructionSet::kAmxInt8}) {
    const bool compiled = kernel_set(set) != nullptr;
    entries.push_back({set, instruction_set_name(set), compiled, compiled && supports(set)});
  }
  return entries;
}

InstructionSet best_not_above(const std::string& cap) {
  InstructionSet best = InstructionSet::kScalar;
  std::string available;
  for (const InstructionSetEntry& entry : instruction_sets()) {
    if (!entry.supported) {
      continue;
    }
    available += (available.empty() ? "" : ", ") + std::string(entry.name);
    best = entry.set;
    if (cap == entry.name) {
      return best;
    }
  }
  if (!cap.empty()) {
    throw std::invalid_argument(
        "TORCH_QCONV_ISA must be one of " + available + " on this machine, got '" + cap + "'");
  }
  return best;
}

}  // namespace

const std::vector<InstructionSetEntry>& instruction_sets() {
  static const std::vector<InstructionSetEntry> entries = find_instruction_sets();
  return entries;
}

const char* instruction_set_name(InstructionSet set) {
  switch (set) {
    case InstructionSet::kScalar:
      return "scalar";
    case InstructionSet::kAvx2:
      return "avx2";
    case InstructionSet::kAvxVnni:
      return "avx_vnni";
    case InstructionSet::kAvx512Vnni:
      return "avx512_vnni";
    case InstructionSet::kAmxInt8:
      return "amx_int8";
  }
  return "unknown";
}

InstructionSet most_capable_instruction_set() {
  static const InstructionSet best = best_not_above("");
  return best;
}

InstructionSet best_instruction_set() {
  const char* const cap = std::getenv("TORCH_QCONV_ISA");
  return cap == nullptr || *cap == '\0' ? most_capable_instruction_set() : best_not_above(cap);
}

}  // namespace qconv::native
