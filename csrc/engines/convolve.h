#pragma once

#include <string_view>

#include "engines/engine.h"

namespace qconv {

// Runs a packed convolution with any epilogue and output, in the fewest passes that its engine
// allows: in the library's own epilogue, else through real numbers and apply_epilogue.
// Raises ValueError, starting with `op`, for scales whose products leave float32.
void convolve(
    std::string_view op, const ConvDescription& conv, const PackedConv& packed,
    const RunShape& shape, const Activation& input, const Epilogue& epilogue, const Output& output);

// The other reading of signed and unsigned bytes: int8 q as uint8 q + 128, and back. May work in
// place.
void flip_sign_bits(const uint8_t* values, int64_t count, uint8_t* flipped);

// What flip_sign_bits adds to a zero point of int8.
inline constexpr int32_t kSignedToUnsigned = 128;

}  // namespace qconv
