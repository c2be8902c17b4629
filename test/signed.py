"""int8 tensors that stand for the same real numbers as uint8 ones."""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT = 128  # int8 q with zero point z is uint8 q + 128 with zero point z + 128


def signed_copy(x: Tensor) -> Tensor:
    """The qint8 tensor of the same real numbers as a quint8 one."""
    integers = (x.int_repr().int() - SHIFT).to(torch.int8)
    return torch._make_per_tensor_quantized_tensor(integers, x.q_scale(), x.q_zero_point() - SHIFT)


def unsigned(y: Tensor) -> Tensor:
    """The integers of a qint8 tensor, uint8, as the quint8 tensor would have them."""
    return (y.int_repr().int() + SHIFT).to(torch.uint8)
