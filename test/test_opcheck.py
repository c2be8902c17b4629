"""torch.library.opcheck on every op to which its tests apply, and torch's reasons for the others.

test_schema: prepack ops. It asks the packed params of the others for their length, and fails.
test_autograd_registration: dynamic ops. Elsewhere no output could ask for a gradient.
test_faketensor: none. Quantized tensors have no fake form, so it passes without a look at the
    op; dynamic and unpack ops have no fake kernel, since the packed params have no fake form.
test_aot_dispatch_dynamic: none, for the same reasons, but it fails.

A test that passes whatever the op does isn't run. That the ops neither change nor return their
arguments, which test_schema is about, is tested for all of them in test_ownership.py.
"""

from __future__ import annotations

import pytest
import torch
from bad_input import CONV2D, KINDS, Kind, every_kind, per_channel, quint8
from ops import op
from torch._subclasses.fake_tensor import FakeTensorMode, UnsupportedFakeTensorException
from torch.library import opcheck
from torch.testing._internal.optests.generate_tests import OpCheckError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NOT_FOR_PARAMS = "'__len__' is not implemented for __torch__.torch.classes.torch_qconv_prepack"
NO_FAKE = "input must be on the CPU, got a tensor on device meta"
QUANTIZED = "quantized nyi in meta tensors"

Call = tuple[torch._ops.OpOverload, tuple[object, ...]]


def prepack_call(kind: Kind) -> Call:
    lists: list[list[int]] = [[1] * kind.dims, [0] * kind.dims, [1] * kind.dims]
    if kind.transposed:
        lists.insert(2, [0] * kind.dims)
    weight = per_channel(kind.weight_shape, axis=int(kind.transposed))
    return op(f"{kind}_prepack").default, (weight, torch.ones(8), *lists, 1)


def run_calls(kind: Kind) -> list[Call]:
    params, x = kind.prepack(), quint8(kind.input_shape)
    calls: list[Call] = []
    for name in (str(kind), f"{kind}_relu"):
        packet = op(name)
        # The ops of two forms call this one "new".
        overload = packet.new if "new" in packet.overloads() else packet.default
        calls.append((overload, (x, params, 0.1, 3)))
        if "new" in packet.overloads():
            lists = ([1] * kind.dims, [0] * kind.dims, [1] * kind.dims)
            calls.append((packet.default, (x, params, *lists, 1, 0.1, 3)))
    for suffix in ("_add", "_add_relu"):
        arguments = (x, quint8(kind.output_shape), params, 0.1, 3)
        calls.append((op(f"{kind}{suffix}").default, arguments))
    return calls


def dynamic_call(kind: Kind, requires_grad: bool = False) -> Call:
    x = torch.rand(kind.input_shape, requires_grad=requires_grad)
    return op(f"{kind}_dynamic").default, (x, kind.prepack())


def unpack_call(kind: Kind) -> Call:
    return op(f"{kind}_unpack").default, (kind.prepack(),)


def reason(call: Call, test: str) -> str:
    """Why torch fails opcheck's test."""
    with pytest.raises(OpCheckError) as caught:
        opcheck(*call, test_utils=test)
    return str(caught.value)


@every_kind
def test_prepack_ops_keep_to_their_schema(kind: Kind) -> None:
    assert opcheck(*prepack_call(kind), test_utils="test_schema") == {"test_schema": "SUCCESS"}


def test_deprecated_prepack_op_keeps_to_its_schema() -> None:
    _, arguments = prepack_call(CONV2D)
    opcheck(op("conv_prepack").default, arguments, test_utils="test_schema")


@every_kind
def test_dynamic_ops_register_no_wrong_autograd(kind: Kind) -> None:
    call = dynamic_call(kind, requires_grad=True)  # without, opcheck would skip it
    opcheck(*call, test_utils="test_autograd_registration")


@every_kind
def test_schema_test_cannot_take_packed_params(kind: Kind) -> None:
    for call in [*run_calls(kind), dynamic_call(kind), unpack_call(kind)]:
        assert NOT_FOR_PARAMS in reason(call, "test_schema")


@every_kind
def test_quantized_tensors_have_no_fake_form(kind: Kind) -> None:
    with pytest.raises(UnsupportedFakeTensorException, match=QUANTIZED):
        FakeTensorMode().from_tensor(quint8(kind.input_shape))
    for call in [prepack_call(kind), *run_calls(kind)]:
        assert QUANTIZED in reason(call, "test_aot_dispatch_dynamic")


@every_kind
@pytest.mark.parametrize("test", ["test_faketensor", "test_aot_dispatch_dynamic"])
def test_dynamic_and_unpack_ops_have_no_fake_kernel(kind: Kind, test: str) -> None:
    assert f"{kind}_dynamic: {NO_FAKE}" in reason(dynamic_call(kind), test)
    assert f"torch_qconv_prepack.{kind}_unpack.default" in reason(unpack_call(kind), test)


def test_every_op_is_in_a_test_above() -> None:
    calls = [
        call
        for kind in KINDS
        for call in [prepack_call(kind), *run_calls(kind), dynamic_call(kind), unpack_call(kind)]
    ]
    checked = {overload.name() for overload, _ in calls}
    deprecated = {"torch_qconv_prepack::conv_prepack", "torch_qconv_prepack::conv_unpack"}
    registered = {
        f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name
        for schema in torch._C._jit_get_all_schemas()
        if schema.name.startswith("torch_qconv_prepack::conv")
    }
    assert checked | deprecated == registered
