// The kernel's own source in the other encoding and under another name; see avx_vnni_evex.h.
#include "avx_vnni_evex.h"

#define QCONV_VPDPBUSD "%{evex%} vpdpbusd"
#define dense_avx_vnni dense_avx_vnni_evex
#include "native/kernels/avx_vnni/dense.cpp"
