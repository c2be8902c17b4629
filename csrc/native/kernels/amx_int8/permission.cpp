#include "native/kernels/amx_int8/permission.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace qconv::native {
namespace {

// Bits of CPUID leaf 7's EDX, and of XCR0: Intel's Software Developer's Manual, volume 1, 18.1.
constexpr uint32_t kAmxTile = 1u << 24;
constexpr uint32_t kAmxInt8 = 1u << 25;
constexpr uint32_t kOsxsave = 1u << 27;  // of leaf 1's ECX
constexpr uint32_t kTileState = 3u << 17;

bool cpu_and_system_have_tiles() {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kOsxsave) == 0) {
    return false;
  }
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 ||
      (edx & (kAmxTile | kAmxInt8)) != (kAmxTile | kAmxInt8)) {
    return false;
  }
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kTileState) == kTileState;
}

// Linux gives a process the tile registers only after it asked (Documentation/arch/x86/xstate.rst).
// It refuses where a thread's alternate signal stack would be too small to hold them, and kernels
// before 5.16 know neither the call nor the registers.
bool ask_for_tile_data() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool request_amx() {
#if defined(QCONV_EMULATE_AMX)
  return true;  // tile_emulation.h needs no more
#endif
  static const bool granted = cpu_and_system_have_tiles() && ask_for_tile_data();
  return granted;
}

}  // namespace qconv::native

#else

namespace qconv::native {

bool request_amx() {
  return false;
}

}  // namespace qconv::native

#endif
