#pragma once

#include <string>

#include "conv/geometry.h"

namespace qconv::onednn {

// Holds oneDNN to AVX-512 in this process, unless ONEDNN_MAX_CPU_ISA says what to hold it to: the
// AMX kernels of oneDNN 3.2 write outside their buffers. To be called before oneDNN is used.
void leave_out_amx();

// oneDNN's own name of the most capable instruction set that it uses on this machine, as
// "avx512_core_vnni".
std::string instruction_set();

// Whether an implementation (oneDNN's name, as "brgconv:avx512_core_vnni") is known to be right for
// this convolution; docs/onednn.md says what is known of each.
// no_pair_saturates: see WeightFacts.
bool is_right(
    const std::string& implementation, const ConvGeometry& geometry, bool no_pair_saturates);

}  // namespace qconv::onednn
