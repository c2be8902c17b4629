"""Every quantized convolution module of PyTorch's is right with drop-in mode on."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import ops
import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from dynamic_reference import dynamic_conv, dynamic_tolerance
from packed_examples import EXAMPLES, every_example
from reference import Expected
from sums import addend_of, expected_sum
from torch import Tensor, nn
from torch.ao.nn import quantized as nnq
from torch.ao.nn.intrinsic import quantized as nniq
from torch.ao.nn.quantized import dynamic as nnqd
from torch.nn import functional

import torch_qconv_prepack as qconv

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    # What drop-in mode mends.
    pytest.mark.filterwarnings("ignore:.*has poor numerical accuracy:UserWarning"),
]


def module_of(namespace: Any, case: ConvCase, data: ConvData, fused: str = "{}") -> nn.Module:
    """A module with the case's weight, bias and output quantization; fused: as "{}ReLU"."""
    kind = "ConvTranspose" if case.transposed else "Conv"
    class_ = getattr(namespace, f"{fused.format(kind)}{case.dims}d")
    module = class_(
        case.in_channels, case.out_channels, case.kernel, stride=case.stride, padding=case.padding,
        dilation=case.dilation, groups=case.groups, bias=case.bias,
        **({"output_padding": case.output_padding} if case.transposed else {}),
    )  # fmt: skip
    module.set_weight_bias(data.weight, data.bias)
    module.scale, module.zero_point = data.output_scale, data.output_zero_point
    return module.eval()


def through_state_dict(module: nn.Module) -> nn.Module:
    """A new module that takes over what a file of a state_dict holds."""
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    result = copy.deepcopy(module)
    weight, bias = module._weight_bias()
    empty = torch._make_per_tensor_quantized_tensor(torch.zeros_like(weight.int_repr()), 1.0, 0)
    result.set_weight_bias(empty, bias)
    result.load_state_dict(torch.load(buffer, weights_only=True))
    return result


def reloaded(module: Any) -> Any:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


FORMS: dict[str, Callable[[nn.Module, tuple[Tensor, ...]], Any]] = {
    "module": lambda module, _: module,
    "deepcopy": lambda module, _: copy.deepcopy(module),
    "state_dict": lambda module, _: through_state_dict(module),
    "script": lambda module, _: torch.jit.script(module),
    "trace": lambda module, x: torch.jit.trace(module, x),
    "freeze": lambda module, _: torch.jit.freeze(torch.jit.script(module)),
    "optimize": lambda module, _: torch.jit.optimize_for_inference(torch.jit.script(module)),
    "file": lambda module, _: reloaded(torch.jit.script(module)),
    "frozen file": lambda module, _: reloaded(torch.jit.freeze(torch.jit.script(module))),
}

every_form = pytest.mark.parametrize("form", FORMS)


def check(module: nn.Module, form: str, inputs: tuple[Tensor, ...], expected: Expected) -> None:
    assert ops.is_ours(module._packed_params)
    changed = FORMS[form](module, inputs)
    assert_matches(changed(*inputs), expected)
    if hasattr(changed, "_packed_params") and isinstance(
        changed._packed_params, torch.ScriptObject
    ):
        assert ops.is_ours(changed._packed_params)


@every_form
@every_example
def test_modules(case: ConvCase, form: str) -> None:
    data = case.data()
    with qconv.enabled():
        module = module_of(nnq, case, data)
        check(module, form, (data.activation,), data.expected())
    # When it is off, too.
    assert_matches(module(data.activation), data.expected())


@every_form
@pytest.mark.parametrize("case", [c for c in EXAMPLES if not c.transposed], ids=str)
def test_modules_with_relu(case: ConvCase, form: str) -> None:
    data = case.data()
    with qconv.enabled():
        module = module_of(nniq, case, data, "{}ReLU")
        check(module, form, (data.activation,), data.expected(relu=True))


@every_form
@pytest.mark.parametrize("relu", [False, True], ids=["add", "add-relu"])
def test_modules_that_add(relu: bool, form: str) -> None:
    case = ConvCase("add", in_channels=12, out_channels=8, padding=(1,), per_channel=True)
    data = case.data()
    addend = addend_of(data, seed=5)
    with qconv.enabled():
        module = module_of(nniq, case, data, "{}AddReLU" if relu else "{}Add")
        check(module, form, (data.activation, addend), expected_sum(data, addend, relu))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "trace"])
@every_example
def test_dynamic_modules(case: ConvCase, form: str) -> None:
    data = case.data()
    x = data.activation.dequantize() * 3.7
    with qconv.enabled():
        module = module_of(nnqd, case, data)
        actual = FORMS[form](module, (x,))(x)
        engine = qconv.describe(module._packed_params).engine
    expected = dynamic_conv(x, data.weight, data.bias, data.geometry, reduce_range=True)
    tolerance = dynamic_tolerance(expected, data.bias, engine)
    assert bool(((actual.double() - expected).abs() <= tolerance).all())


@pytest.mark.parametrize("dims", [1, 2])
def test_modules_that_reflect_the_border(dims: int) -> None:
    case = ConvCase("reflect", dims=dims, in_channels=8, out_channels=8, padding=(2,))
    data = case.data()
    with qconv.enabled():
        module = getattr(nnq, f"Conv{dims}d")(
            case.in_channels, case.out_channels, case.kernel, padding=case.padding,
            padding_mode="reflect",
        )  # fmt: skip
        module.set_weight_bias(data.weight, data.bias)
        module.scale, module.zero_point = data.output_scale, data.output_zero_point
        y = module(data.activation)
    integers = functional.pad(data.activation.int_repr().float(), [2] * 2 * dims, "reflect").byte()
    x = data.activation
    padded = torch._make_per_tensor_quantized_tensor(integers, x.q_scale(), x.q_zero_point())
    unpadded = case.but(padding=(0,)).geometry
    expected = ConvData(
        padded, data.weight, data.bias, unpadded, data.output_scale, data.output_zero_point
    )
    assert_matches(y, expected.expected())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_functions(dims: int) -> None:
    data = ConvCase("function", dims=dims, padding=(1,), stride=(2,)).data()
    with qconv.enabled():
        y = getattr(nnq.functional, f"conv{dims}d")(
            data.activation, data.weight, data.bias, stride=2, padding=1,
            scale=data.output_scale, zero_point=data.output_zero_point,
        )  # fmt: skip
    assert_matches(y, data.expected())
