#pragma once

#include <cstddef>

namespace qconv::native {

// What a thread keeps memory for between calls, each once.
enum class ScratchUse {
  kFactors,
  kRepeatedFactors,
  kSums,
  kActivation,
  kActivationSums,
  kTapSums,
  kTapRuns,
  kTapOffsets,
  kReachedTaps,
  kLeftOutSums,
  kTail,
  kZeroPoints,
  kZeroPointPixel,
  kRows,
  kPieceRows,
  kCount
};

// At least `bytes` bytes of the calling thread, 64-byte aligned, with undefined contents: valid
// until its next call for the same use. Grows when it must and is kept.
// Raises std::bad_alloc.
void* scratch(ScratchUse use, size_t bytes);

// Gives back what the calling thread keeps; returns how many bytes.
size_t release_scratch();

}  // namespace qconv::native
