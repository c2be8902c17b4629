"""Inputs beside which there is no memory: whoever reads outside them dies."""

import ctypes
import mmap
from dataclasses import replace

import torch
from conv_case import ConvData

_NO_ACCESS = 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_mappings: list[mmap.mmap] = []  # stay mapped as long as the process lives


def with_guarded_input(data: ConvData, end: str) -> ConvData:
    """The same convolution, its input channels last at the "start" or "end" of its memory."""
    page = mmap.PAGESIZE
    values = data.activation.int_repr().movedim(1, -1).contiguous()
    pages = -(-values.numel() // page)
    _mappings.append(mmap.mmap(-1, (pages + 2) * page))
    memory = torch.frombuffer(_mappings[-1], dtype=torch.uint8)
    for guard in (0, (pages + 1) * page):
        if _libc.mprotect(memory.data_ptr() + guard, page, _NO_ACCESS) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = page if end == "start" else (pages + 1) * page - values.numel()
    memory[offset : offset + values.numel()] = values.flatten()
    x = data.activation
    guarded = torch._empty_affine_quantized(
        x.shape, scale=x.q_scale(), zero_point=x.q_zero_point(), dtype=torch.quint8
    )
    strides = values.movedim(-1, 1).stride()
    guarded.set_(memory.untyped_storage(), offset, x.shape, strides)
    return replace(data, activation=guarded)
