#pragma once

#include <cstdint>

#include "native/format/checksum.h"
#include "native/format/layout.h"
#include "native/format/pack.h"
#include "native/format/pack_kernels.h"

namespace qconv::native {

// A buffer that is written from front to back, and its checksum.
struct PackedOutput {
  uint8_t* data;
  int64_t written;  // bytes from the front; those of a whole stripe are in the checksum
  Checksum checksum;

  // Takes note that the bytes before `end` are written.
  void advance_to(int64_t end);
};

// Packs the weights of a phase at output.data + output.written and writes an int32 per output
// channel to column_sums. Returns the largest sum of |weight - zero point| over an output channel.
int64_t pack_weight(
    const PackSource& source, const Layout& layout, const PackKernels& kernels,
    PackedOutput& output, int32_t* column_sums);

}  // namespace qconv::native
