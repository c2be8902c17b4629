#pragma once

// The instruction of AVX-VNNI. In assembly: as an intrinsic, gcc 12 copies the accumulator before
// every instruction, and compilers that don't know AVX-VNNI can compile it like this. Kernel files
// include this below their target pragma.

#include <immintrin.h>

// AVX512-VNNI has the same instruction in its own encoding: tests on machines that have only that
// one compile these kernels with it.
#ifndef QCONV_VPDPBUSD
#define QCONV_VPDPBUSD "%{vex%} vpdpbusd"
#endif

namespace qconv::native {
namespace {

// sum[i] += the four products of the uint8 quad activation[i] and the int8 quad weight[i].
inline __attribute__((always_inline)) void dot_vnni(
    __m256i& sum, __m256i activation, __m256i weight) {
  __asm__(QCONV_VPDPBUSD " %2, %1, %0" : "+x"(sum) : "x"(activation), "x"(weight));
}

}  // namespace
}  // namespace qconv::native
