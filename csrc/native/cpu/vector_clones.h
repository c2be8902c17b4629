#pragma once

// Compiles a function for these instruction sets and picks the machine's when the library is
// loaded. For loops whose results don't depend on it.
#if defined(__x86_64__)
#define QCONV_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define QCONV_VECTOR_CLONES
#endif
