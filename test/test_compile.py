"""Tracing: fake tensors get a clear error, and torch.compile breaks the graph at our ops."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from bad_input import Kind, assert_raises, every_kind
from conv_case import ConvCase, ConvData
from ops import kind as kind_of
from ops import op, pack, run
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

# torch.compile calls what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


@pytest.fixture(autouse=True)
def _forget_compiled_functions() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@every_kind
def test_fake_input_gets_the_error_of_a_tensor_without_data(kind: Kind) -> None:
    params = kind.prepack()
    expected = "input must be on the CPU, got a tensor on device meta"
    with FakeTensorMode():
        x = torch.ones(kind.input_shape)
        qx = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
        assert_raises(
            ValueError, f"{kind}_dynamic: {expected}", lambda: kind.call("_dynamic", params, x)
        )
        for suffix in ("", "_relu"):
            start = f"{kind}{suffix}: {expected}"
            assert_raises(ValueError, start, lambda s=suffix: kind.call(s, params, qx))


@every_kind
def test_fake_weight_gets_the_error_of_a_tensor_without_data(kind: Kind) -> None:
    with FakeTensorMode():
        weight = torch.quantize_per_tensor(torch.ones(kind.weight_shape), 0.1, 0, torch.qint8)
        start = f"{kind}_prepack: weight must be on the CPU, got a tensor on device meta"
        assert_raises(ValueError, start, lambda: kind.prepack(weight=weight))


CASES = tuple(
    ConvCase(kind_of(dims, transposed), dims=dims, transposed=transposed, padding=(1,))
    for dims in (1, 2, 3)
    for transposed in (False, True)
)

every_case = pytest.mark.parametrize("case", CASES, ids=str)


class QuantizedModel(nn.Module):
    """Float in, float out, with a packed convolution as attribute in between."""

    def __init__(self, data: ConvData) -> None:
        super().__init__()
        self.params = pack(data)
        self.op = op(kind_of(data.geometry.dims, data.geometry.transposed))
        self.input_scale = data.activation.q_scale()
        self.input_zero_point = data.activation.q_zero_point()
        self.output_scale, self.output_zero_point = data.output_scale, data.output_zero_point

    def forward(self, x: Tensor) -> Tensor:
        qx = torch.quantize_per_tensor(2 * x, self.input_scale, self.input_zero_point, torch.quint8)
        y = self.op(qx, self.params, self.output_scale, self.output_zero_point)
        return y.dequantize() + 1


@every_case
def test_compiled_function_that_calls_an_op(case: ConvCase) -> None:
    data = case.data()
    params = pack(data)

    def convolve(x: Tensor) -> Tensor:
        return run(data, params, "")

    compiled: Callable[[Tensor], Tensor] = torch.compile(convolve, fullgraph=False)
    expected = convolve(data.activation).int_repr()
    for _ in range(2):
        assert torch.equal(compiled(data.activation).int_repr(), expected)


@every_case
def test_compiled_module_that_holds_packed_params(case: ConvCase) -> None:
    data = case.data()
    model = QuantizedModel(data)
    x = data.activation.dequantize() / 2
    expected = (run(data, model.params).dequantize()) + 1
    compiled = torch.compile(model, fullgraph=False, backend="aot_eager")
    for _ in range(2):
        assert torch.equal(compiled(x), expected)


@every_case
def test_compiled_function_that_calls_a_dynamic_op(case: ConvCase) -> None:
    data = case.data()
    params, dynamic = pack(data), op(f"{kind_of(case.dims, case.transposed)}_dynamic")
    x = data.activation.dequantize()

    def convolve(x: Tensor) -> Tensor:
        return dynamic(2 * x, params) - 1

    compiled = torch.compile(convolve, fullgraph=False, backend="aot_eager")
    for _ in range(2):
        assert torch.equal(compiled(x), convolve(x))


def test_full_graph_is_refused_by_torch() -> None:
    data = CASES[1].data()
    compiled = torch.compile(QuantizedModel(data), fullgraph=True, backend="eager")
    with pytest.raises(torch._dynamo.exc.TorchDynamoException):
        compiled(data.activation.dequantize())
