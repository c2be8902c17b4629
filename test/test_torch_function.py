"""Packed params answer torch.ops' question for ``__torch_function__`` without an exception."""

import ops
import torch
from conv_case import ConvCase
from packed_examples import every_example
from torch.overrides import has_torch_function


@every_example
def test_packed_params_have_torchs_marker_for_none(case: ConvCase) -> None:
    params = ops.pack(case.data())
    assert params.__torch_function__ is torch._C._disabled_torch_function_impl
    assert not has_torch_function((params,))


def test_torchs_own_classes_stay_as_they_are() -> None:
    params = ops.pack(ConvCase("plain").data())
    assert "__torch_function__" not in vars(torch.ScriptObject)
    assert not hasattr(params.as_quantized(), "__torch_function__")
