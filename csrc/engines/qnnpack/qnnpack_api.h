#pragma once

// What is called of the QNNPACK inside libtorch_cpu, whose headers PyTorch doesn't ship. Facts from
// aten/src/ATen/native/quantized/cpu/qnnpack of PyTorch 2.13 (include/pytorch_qnnpack.h,
// src/qnnpack/params.h). All symbols are weak: null where torch was built without QNNPACK.

#include <cstddef>
#include <cstdint>

namespace qconv {

// Kernels take 8 entries at once: they read up to 8 bytes before a pixel, and up to 8 entries
// behind the end of arrays with one per output channel.
constexpr int64_t kQnnpackReach = 8;

}  // namespace qconv

extern "C" {

union pytorch_qnnp_conv_quantization_params;

// Sums over `k` input channels for up to `mr` pixels and `nr` output channels. A pixel whose last
// k % 8 channels remain is read from 8 bytes before its end on.
typedef void (*pytorch_q8gemm_ukernel_function)(
    size_t mr, size_t nr, size_t k, const uint8_t* a, size_t a_stride, const void* w, uint8_t* c,
    size_t c_stride, size_t output_channel,
    const pytorch_qnnp_conv_quantization_params* quantization);

// The same over `ks` taps: for each tap, `a` has the pointers to the pixels of a whole tile.
typedef void (*pytorch_q8conv_ukernel_function)(
    size_t mr, size_t nr, size_t kc, size_t ks, const uint8_t** a, const void* w, uint8_t* c,
    size_t c_stride, size_t output_channel,
    const pytorch_qnnp_conv_quantization_params* quantization);

// Depthwise over 9 taps: `input` has the pointers of one pixel's taps, those of the next pixel
// input_stride bytes behind.
typedef void (*pytorch_q8dwconv2d_up_ukernel_function)(
    size_t channels, size_t output_width, const uint8_t** input, const void* weights,
    uint8_t* output, size_t input_stride, size_t output_increment,
    const pytorch_qnnp_conv_quantization_params* quantization);

// Depthwise over 25 taps; `buffer` holds the channels' sums, rounded up to 8.
typedef void (*pytorch_q8dwconv2d_mp_ukernel_function)(
    size_t channels, size_t output_width, const uint8_t** input, const void* weights,
    int32_t* buffer, uint8_t* output, size_t input_stride, size_t output_increment,
    const pytorch_qnnp_conv_quantization_params* quantization);

struct pytorch_q8conv_parameters {
  pytorch_q8gemm_ukernel_function gemm;
  pytorch_q8conv_ukernel_function conv;
  void* gemm_dq;
  uint8_t mr, nr, kr;
};

struct pytorch_q8gemm_sparse_parameters {
  void* kernels[5];
  uint8_t sizes[5];
  uint32_t row_block_size, col_block_size;
};

struct pytorch_q8conv_xzp_parameters {
  void* gemm;
  uint8_t mr, nr, kr, kc;
  size_t kthreshold;
};

struct pytorch_q8dwconv2d_up_parameters {
  pytorch_q8dwconv2d_up_ukernel_function updw;
  pytorch_q8dwconv2d_up_ukernel_function updw_per_channel;
  uint8_t cr;
};

struct pytorch_q8dwconv2d_mp_parameters {
  pytorch_q8dwconv2d_mp_ukernel_function mpdw;
  pytorch_q8dwconv2d_mp_ukernel_function mpdw_per_channel;
  uint8_t cr;
};

// The beginning of QNNPACK's table of kernels, filled by pytorch_qnnp_initialize.
struct pytorch_qnnp_parameters {
  pytorch_q8conv_parameters q8conv;
  pytorch_q8gemm_sparse_parameters q8gemm_sparse_c1x4;
  pytorch_q8gemm_sparse_parameters q8gemm_sparse_c8x1;
  pytorch_q8conv_xzp_parameters q8conv_xzp;
  pytorch_q8dwconv2d_up_parameters q8dw9;
  pytorch_q8dwconv2d_mp_parameters q8dw25;
};

// Zero points are those of uint8 weights. Arrays have one entry per output channel.
union pytorch_qnnp_conv_quantization_params {
#if defined(__x86_64__) || defined(_M_X64)
  struct {
    alignas(16) const uint8_t* kernel_zero_points;
    alignas(16) int16_t input_zero_point[8];
    alignas(16) const float* requantization_scales;
    alignas(16) int16_t output_zero_point[8];
    alignas(16) uint8_t output_max[16];
    alignas(16) uint8_t output_min[16];
  } sse2;
#else
  struct {
    const uint8_t* kernel_zero_points;
    int16_t input_zero_point;
    const float* requantization_scales;
    int16_t output_zero_point;
    uint8_t output_max;
    uint8_t output_min;
    // Ends of the output less its zero point, 1.5 * 2^23, and that number's bits less the zero
    // point: for rounding on 32-bit ARM.
    float vfmax, vfmin, vfmagic;
    int32_t vimagic;
  } neon;
#endif
};

// 0 on success. Any number of calls from any threads.
__attribute__((weak)) int pytorch_qnnp_initialize();

__attribute__((weak)) extern pytorch_qnnp_parameters pytorch_qnnp_params;

}  // extern "C"
