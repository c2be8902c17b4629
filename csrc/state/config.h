#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conv/description.h"

namespace qconv {

// The integers of a saved convolution, in the order that all formats share:
//   dims, stride x dims, padding x dims, dilation x dims, output_padding x dims, groups, flags
// Version 2 and 3 have flags 0 or 1 (transposed) and store 1-D as 2-D; the plain state uses all
// flags, stores 1-D with one entry a list, and appends the weight's sizes and a checksum.
inline constexpr int64_t kFlagTransposed = 1;
inline constexpr int64_t kFlagPerChannel = 2;
inline constexpr int64_t kFlagMayRunAs1d = 4;
inline constexpr int64_t kFlagBias = 8;

// dims: how many of the geometry's dimensions are written, innermost ones.
std::vector<int64_t> write_config(const ConvGeometry& geometry, int dims, int64_t flags);

// Number of values for a convolution of `dims` dimensions.
// Raises ValueError, starting with `where`, where dims isn't 1, 2 or 3.
size_t config_length(const std::string& where, int64_t dims);

// Fills dims, lists, groups and transposed from the config's values and returns the flags.
// Raises ValueError, starting with `where`, for a wrong length or a flag not in allowed_flags.
int64_t read_config(
    const std::string& where, const std::vector<int64_t>& values, int64_t allowed_flags,
    ConvArguments& arguments);

}  // namespace qconv
