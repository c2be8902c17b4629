"""A tensor to add to a convolution, and the reference of the sum."""

import torch
from conv_case import ConvData
from reference import FLOAT32_ROUNDING, Expected
from torch import Tensor


def addend_of(data: ConvData, seed: int) -> Tensor:
    """Numbers as large as the convolution's, so that one lost or misplaced shows."""
    generator = torch.Generator().manual_seed(seed)
    shape = data.expected().scaled.shape
    integers = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return torch._make_per_tensor_quantized_tensor(integers, 0.7 * data.output_scale, 117)


def expected_sum(data: ConvData, addend: Tensor, relu: bool) -> Expected:
    convolution = data.expected()
    added = (addend.int_repr().double() - addend.q_zero_point()) * addend.q_scale()
    added = added / data.output_scale
    scaled = convolution.scaled + added
    # The sum's two operands and itself are rounded to float32, and the quotient by the scale.
    rounding = 4 * FLOAT32_ROUNDING * (convolution.scaled.abs() + added.abs())
    return Expected(
        scaled.clamp(min=0) if relu else scaled,
        convolution.float32_error + rounding,
        data.output_zero_point,
    )
