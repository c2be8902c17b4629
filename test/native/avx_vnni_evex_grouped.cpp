// The kernel's own source in the other encoding and under another name; see avx_vnni_evex.h.
#include "avx_vnni_evex.h"

#define QCONV_VPDPBUSD "%{evex%} vpdpbusd"
#define grouped_avx_vnni grouped_avx_vnni_evex
#include "native/kernels/avx_vnni/grouped.cpp"
