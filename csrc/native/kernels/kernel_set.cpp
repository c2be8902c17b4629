#include "native/kernels/kernel_set.h"

#include "native/kernels/amx_int8/dense.h"
#include "native/kernels/amx_int8/permission.h"
#include "native/kernels/avx2/dense.h"
#include "native/kernels/avx2/depthwise.h"
#include "native/kernels/avx2/grouped.h"
#include "native/kernels/avx512_vnni/dense.h"
#include "native/kernels/avx512_vnni/depthwise.h"
#include "native/kernels/avx512_vnni/grouped.h"
#include "native/kernels/avx_vnni/dense.h"
#include "native/kernels/avx_vnni/depthwise.h"
#include "native/kernels/avx_vnni/grouped.h"
#include "native/kernels/scalar/dense.h"
#include "native/kernels/scalar/depthwise.h"
#include "native/kernels/scalar/grouped.h"
#include "native/kernels/widen.h"

namespace qconv::native {
namespace {

constexpr KernelSet kScalar{
    .set = InstructionSet::kScalar,
    .dense = dense_scalar,
    .dense_speed = {600, 100},
    .grouped = grouped_scalar,
    .depthwise = depthwise_scalar,
    .depthwise_speed = {600, 100},
    .pointwise = pointwise_scalar,
    .quantize = quantize_scalar};

#if defined(__x86_64__)
constexpr KernelSet kAvx2{
    .set = InstructionSet::kAvx2,
    .dense = dense_avx2,
    .dense_speed = {40e3, 3e3},
    .widen = widen_activations_avx2,
    .dense_runs = {.joins_rows = true},
    .dense_below_128 = dense_below_128_avx2,
    .all_below_128 = all_below_128_avx2,
    .grouped = grouped_avx2,
    .grouped_below_128 = grouped_below_128_avx2,
    .grouped_runs = {.joins_rows = true},
    .depthwise = depthwise_avx2,
    .depthwise_speed = {20e3, 3e3},
    .pointwise = pointwise_avx2,
    .quantize = quantize_avx2};
constexpr KernelSet kAvxVnni{
    .set = InstructionSet::kAvxVnni,
    .dense = dense_avx_vnni,
    .dense_speed = {80e3, 3e3},
    .dense_runs = {.joins_rows = true},
    .grouped = grouped_avx_vnni,
    .grouped_runs = {.joins_rows = true},
    .depthwise = depthwise_avx_vnni,
    .depthwise_speed = {20e3, 3e3},
    .pointwise = pointwise_avx2,
    .quantize = quantize_avx2};
constexpr KernelSpeed kDepthwiseAvx512{50e3, 6e3};
constexpr KernelSet kAvx512Vnni{
    .set = InstructionSet::kAvx512Vnni,
    .dense = dense_avx512_vnni,
    .dense_speed = {200e3, 6e3},
    .dense_runs = {.ends = 1},
    .grouped = grouped_avx512_vnni,
    .depthwise = depthwise_avx512_vnni,
    .depthwise_speed = kDepthwiseAvx512,
    .pointwise = pointwise_avx512,
    .quantize = quantize_avx512};
// Depthwise and grouped convolutions have no sums long enough to fill a tile's 64 inputs.
constexpr KernelSet kAmxInt8{
    .set = InstructionSet::kAmxInt8,
    .dense = dense_amx_int8,
    .dense_speed = {1.2e6, 6e3},
    .reads_padding = true,
    .dense_runs = {.joins_rows = true, .computes_between = true, .multiple = 16, .ends = 5},
    .window_bytes = 512 * 1024,  // of 2 MB, as all cores with AMX have
    .grouped = grouped_avx512_vnni,
    .grouped_set = InstructionSet::kAvx512Vnni,
    .depthwise = depthwise_avx512_vnni,
    .depthwise_speed = kDepthwiseAvx512,
    .depthwise_set = InstructionSet::kAvx512Vnni,
    .pointwise = pointwise_avx512,
    .quantize = quantize_avx512,
    .request = request_amx};
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
    case InstructionSet::kAmxInt8:
      return &kAmxInt8;
#endif
    default:
      return nullptr;
  }
}

}  // namespace qconv::native
