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

// Whether it multiplies with instructions that sum in int32. Others add two products in int16.
bool sums_in_int32(const std::string& implementation) {
  // The name ends with the instruction set, except that of the matrix products' implementation.
  const std::string set =
      contains(implementation, "gemm") ? instruction_set() : implementation;
  return contains(set, "vnni") || contains(set, "bf16") || contains(set, "fp16") ||
      contains(set, "amx");
}

}  // namespace

std::string instruction_set() {
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
    const std::string& implementation, const ConvGeometry& /*geometry*/, bool no_pair_saturates) {
  if (guard_is_off()) {
    return true;
  }
  // Plain loops of oneDNN's, far slower than ours.
  if (contains(implementation, "ref")) {
    return false;
  }
  return no_pair_saturates || sums_in_int32(implementation);
}

}  // namespace qconv::onednn
