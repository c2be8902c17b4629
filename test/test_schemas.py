"""Every op has the schema of PyTorch's op of that name, so that it can take its place."""

from __future__ import annotations

import re

import pytest
import torch
from bad_input import CONV2D, KINDS, TRANSPOSED, quint8

OWN, STOCK = "torch_qconv_prepack", "quantized"

# PyTorch's other conv ops are accessors such as conv2d_stride. Our objects have methods for it.
FAMILY = re.compile(
    r"(conv(_transpose)?[123]d(_relu|_add|_add_relu|_dynamic|_unpack|_prepack)?|conv_(un|pre)pack)"
)

ENGINE = ", *, str? engine=None)"


def schemas(namespace: str) -> dict[str, str]:
    """The schemas of a namespace's public ops, by name and overload."""
    result = {}
    for schema in torch._C._jit_get_all_schemas():
        space, _, name = schema.name.partition("::")
        if space == namespace and not name.startswith("_"):
            overload = f".{schema.overload_name}" if schema.overload_name else ""
            result[name + overload] = str(schema)
    return result


def in_our_words(stock: str) -> str:
    """A schema of PyTorch's with our namespace and classes."""
    stock = stock.replace("quantized::", f"{OWN}::").replace(
        "classes.quantized.", f"classes.{OWN}."
    )
    return stock.replace("PackedParamsBase", "PackedParams")


STOCK_SCHEMAS = {
    name: schema
    for name, schema in schemas(STOCK).items()
    if FAMILY.fullmatch(name.partition(".")[0])
}
TRANSPOSED_RELU = {f"{kind}_relu" for kind in TRANSPOSED}
OTHER_ADDS = {
    f"{kind}_{suffix}" for kind in KINDS if kind != CONV2D for suffix in ("add", "add_relu")
}


PLAIN = {
    name: schema
    for name, schema in schemas("onednn").items()
    if re.fullmatch(r"qconv(\d?d)?_(prepack|pointwise)", name.partition(".")[0])
}
# PyTorch has some of these overloads for 2-D or any number of dimensions only.
POINTWISE = {
    f"qconv{dims}_pointwise{overload}"
    for dims in ("", "1d", "2d", "3d")
    for overload in ("", ".tensor", ".binary", ".binary_tensor")
}


def test_ops_are_those_of_pytorch_and_more_relus_and_adds() -> None:
    assert len(STOCK_SCHEMAS) == 35  # what PyTorch 2.13 has: none was overlooked
    assert len(PLAIN) == 9
    assert set(PLAIN) < POINTWISE | {"qconv_prepack"}
    quantized = set(STOCK_SCHEMAS) | TRANSPOSED_RELU | OTHER_ADDS
    assert set(schemas(OWN)) == quantized | POINTWISE | {"qconv_prepack"}


@pytest.mark.parametrize("name", sorted(POINTWISE | {"qconv_prepack"}))
def test_schema_of_a_plain_tensor_op_is_that_of_pytorch(name: str) -> None:
    # The 2-D ones are all there.
    stock = PLAIN.get(name) or PLAIN[re.sub(r"qconv(\dd)?_", "qconv2d_", name)]
    own = schemas(OWN)[name]
    assert own.partition("(")[2] == stock.partition("(")[2]


@pytest.mark.parametrize("name", sorted(STOCK_SCHEMAS))
def test_schema_is_that_of_pytorch(name: str) -> None:
    expected = in_our_words(STOCK_SCHEMAS[name])
    assert f"classes.{OWN}." in expected
    if name.endswith("_prepack"):
        expected = expected.replace(") -> ", f"{ENGINE} -> ")
        assert ENGINE in expected
    assert schemas(OWN)[name] == expected


@pytest.mark.parametrize("name", sorted(TRANSPOSED_RELU))
def test_schema_of_a_transposed_relu_is_that_of_the_plain_op(name: str) -> None:
    own = schemas(OWN)
    plain = name.removesuffix("_relu")
    assert own[name] == own[plain].replace(f"{OWN}::{plain}(", f"{OWN}::{name}(")


@pytest.mark.parametrize("name", sorted(OTHER_ADDS))
def test_schema_of_an_add_is_that_of_conv2d_add(name: str) -> None:
    own = schemas(OWN)
    expected = own["conv2d_add"].replace(f"{OWN}::conv2d_add(", f"{OWN}::{name}(")
    assert own[name] == (expected.replace("Conv2d", "Conv3d") if "3d" in name else expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_engines", "() -> ((str, bool, bool, str, str, str)[])"),
        ("_engine_names", "() -> str[]"),
    ],
)
def test_schema_of_what_the_list_of_engines_stands_on(name: str, expected: str) -> None:
    packet = getattr(torch.ops.torch_qconv_prepack, name)
    assert packet.overloads() == ["default"]
    assert str(packet.default._schema) == f"{OWN}::{name}{expected}"


def test_conv_prepack_equals_conv2d_prepack() -> None:
    ops = torch.ops.torch_qconv_prepack
    torch.manual_seed(0)
    weight, bias = torch.randint(-128, 128, (8, 2, 3, 3), dtype=torch.int8), torch.rand(8)
    weight = torch._make_per_tensor_quantized_tensor(weight, 0.1, 3)
    arguments = (weight, bias, [2, 1], [1, 0], [1, 2], 2)
    old = ops.conv_prepack(*arguments, engine="fbgemm")
    new = ops.conv2d_prepack(*arguments, engine="fbgemm")
    assert old._type() == new._type()
    for method in ("stride", "padding", "dilation", "output_padding", "groups", "engine"):
        assert getattr(old, method)() == getattr(new, method)()
    x = torch._make_per_tensor_quantized_tensor(
        torch.randint(0, 256, (1, 4, 9, 9), dtype=torch.uint8), 0.1, 30
    )
    outputs = [ops.conv2d(x, params, 3.0, 100).int_repr() for params in (old, new)]
    assert torch.equal(*outputs)
    assert outputs[0].unique().numel() > 50


def test_conv_unpack_equals_conv2d_unpack() -> None:
    ops = torch.ops.torch_qconv_prepack
    params = CONV2D.prepack(bias=torch.rand(8))
    weight, bias = ops.conv_unpack(params)
    expected_weight, expected_bias = ops.conv2d_unpack(params)
    assert torch.equal(weight, expected_weight)
    assert torch.equal(bias, expected_bias)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_scripted_calls_of_both_forms_equal_the_eager_one() -> None:
    params, x = CONV2D.prepack(), quint8(CONV2D.input_shape)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.params = params

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return (
                torch.ops.torch_qconv_prepack.conv2d(x, self.params, 0.1, 3),
                torch.ops.torch_qconv_prepack.conv2d(
                    x, self.params, [1, 1], [0, 0], [1, 1], 1, 0.1, 3
                ),
            )

    expected = CONV2D.call("", params, x).int_repr()
    for y in torch.jit.script(Model())(x):
        assert torch.equal(y.int_repr(), expected)
