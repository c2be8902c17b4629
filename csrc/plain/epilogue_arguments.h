#pragma once

#include <string_view>

#include "engines/epilogue.h"
#include "plain/pointwise.h"

namespace qconv {

// The output's dtype, its scale and zero point checked for it. Raises ValueError or TypeError.
c10::ScalarType output_dtype(std::string_view op, const PointwiseCall& call);

// The function that the attributes name, without the addend. Raises ValueError or
// NotImplementedError.
Epilogue function_epilogue(
    std::string_view op, const PointwiseCall& call, const std::optional<BinaryCall>& binary);

// The addend's dtype, size, scale and zero point. Raises ValueError or TypeError.
void check_addend(
    std::string_view op, const BinaryCall& binary, c10::ScalarType output_dtype,
    c10::IntArrayRef output_sizes);

bool writes_to_addend(const BinaryCall& binary);

}  // namespace qconv
