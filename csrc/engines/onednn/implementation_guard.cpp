#include "engines/onednn/implementation_guard.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <cstdlib>
#include <string_view>

namespace qconv::onednn {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// For benchmarks/onednn_faults.py, which finds out what must be guarded against.
bool guard_is_off() {
  static const bool off = [] {
    const char* value = std::getenv("TORCH_QCONV_ONEDNN_GUARD");
    return value != nullptr && std::string_view(value) == "0";
  }();
  return off;
}

// The instruction set of an implementation: the end of its name, except where matrix products do
// the work, which use whatever the machine has.
std::string set_of(const std::string& implementation) {
  return contains(implementation, "gemm") ? instruction_set() : implementation;
}

// Whether it multiplies with instructions that sum in int32. Others add two products in int16.
bool sums_in_int32(const std::string& set) {
  return contains(set, "vnni") || contains(set, "bf16") || contains(set, "fp16");
}

// Whether a transposed convolution has outputs that no input reaches: between the kernel's places,
// or behind the last.
bool leaves_gaps(const ConvGeometry& geometry) {
  for (int i = 0; i < geometry.spatial_dims(); ++i) {
    const int64_t reach = geometry.dilation[i] * (geometry.kernel[i] - 1) + 1;
    if (geometry.stride[i] > reach || geometry.output_padding[i] > geometry.padding[i]) {
      return true;
    }
  }
  return false;
}

}  // namespace

void leave_out_amx() {
  static const bool done = [] {
    const bool user_decides =
        std::getenv("ONEDNN_MAX_CPU_ISA") != nullptr || std::getenv("DNNL_MAX_CPU_ISA") != nullptr;
    // Comes too late, and does nothing, where another user of this oneDNN has run something.
    return user_decides || guard_is_off() ||
        dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_fp16) == dnnl::status::success;
  }();
  (void)done;
}

std::string instruction_set() {
  leave_out_amx();
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx2_vnni_2:
      return "avx2_vnni_2";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_fp16:
      return "avx512_core_fp16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    case dnnl::cpu_isa::avx512_core_amx_fp16:
      return "avx512_core_amx_fp16";
    default:
      return "";
  }
}

bool is_right(
    const std::string& implementation, const ConvGeometry& geometry, bool no_pair_saturates) {
  if (guard_is_off()) {
    return true;
  }
  // Plain loops of oneDNN's, far slower than ours.
  if (contains(implementation, "ref")) {
    return false;
  }
  // The kernel for transposed convolutions leaves such rows and columns as they were, or worse.
  if (geometry.transposed && contains(implementation, "jit_") && leaves_gaps(geometry)) {
    return false;
  }
  const std::string set = set_of(implementation);
  if (contains(set, "amx")) {
    return false;  // see leave_out_amx
  }
  if (!sums_in_int32(set)) {
    // The 1x1 kernel without VNNI is wrong on images of five pixels.
    return no_pair_saturates && !contains(implementation, "jit_int8_1x1");
  }
  return true;
}

}  // namespace qconv::onednn
