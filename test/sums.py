"""A tensor to add to a convolution, and the reference of the sum."""

import torch
from conv_case import ConvData
from reference import FLOAT32_ROUNDING, ROUND_THE_BIAS, WITHIN_OF_A_TIE, Expected
from torch import Tensor


def addend_of(data: ConvData, seed: int) -> Tensor:
    """Numbers as large as the convolution's, so that one lost or misplaced shows."""
    generator = torch.Generator().manual_seed(seed)
    shape = data.expected().scaled.shape
    integers = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    # No simple fraction of the output's scale: sums with a convolution of 0 would lie on ties.
    scale = 0.7131 * data.output_scale
    return torch._make_per_tensor_quantized_tensor(integers, scale, 117)


def expected_sum(data: ConvData, addend: Tensor, relu: bool, engine: str | None = None) -> Expected:
    """The sum requantized once. engine: whose rounding is allowed for, see ConvData.expected."""
    # An engine that can't add in its library adds to the real numbers, whose bias isn't rounded.
    convolution = data.expected(engine=None if engine in ROUND_THE_BIAS else engine)
    added = (addend.int_repr().double() - addend.q_zero_point()) * addend.q_scale()
    added = added / data.output_scale
    scaled = convolution.scaled + added
    if engine in WITHIN_OF_A_TIE:
        # Whatever the sizes of convolution and addend, which its kernels add before they round.
        error = convolution.float32_error
    else:
        # The sum's two operands and itself are rounded to float32, and the quotient by the scale.
        rounding = 4 * FLOAT32_ROUNDING * (convolution.scaled.abs() + added.abs())
        error = convolution.float32_error + rounding
    return Expected(
        scaled.clamp(min=0) if relu else scaled,
        error,
        data.output_zero_point,
    )
