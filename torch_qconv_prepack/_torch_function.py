"""Tells torch without delay that packed params have no ``__torch_function__``.

torch.ops looks for that method on every argument that isn't a tensor. An object of a C++ class is
asked through two C++ exceptions, which take longer than all the rest of a call. The package's own
classes answer with the marker that torch has for "none"; torch's classes stay as they are.
"""

import ctypes

import torch

from torch_qconv_prepack._library import LIBRARY


def register() -> None:
    """Give both packed params classes the attribute; later calls do nothing."""
    function = ctypes.CDLL(str(LIBRARY)).torch_qconv_prepack_set_torch_function
    function.argtypes, function.restype = [ctypes.py_object], None
    # Of torch's own module, which lives as long as the process.
    function(torch._C._disabled_torch_function_impl)
