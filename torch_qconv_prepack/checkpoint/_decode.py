"""From what files hold, each in its own form, to records with one form.

Every form is checked for what the record promises: lengths, types, and that shapes agree.
Whether the convolution can be packed is for the prepack ops to say.
"""

from __future__ import annotations

import re
from typing import Any, TypeGuard

import torch
from torch import Tensor

from torch_qconv_prepack._states import from_state

from ._nodes import FormatError, show
from ._record import ConvRecord, Format, Ints
from ._tensors import FileTensor, is_quantized

MODULE_VALUES = 15
_MANGLED = re.compile(r"___torch_mangle_\d+\.")
_MAX_INT = 2**31 - 1
_TRANSPOSED = 1  # in the flags of a packed object's config


def readable_class_name(name: str) -> str:
    """Return the name of a class without what TorchScript adds to it."""
    return _MANGLED.sub("", name.removeprefix("__torch__."))


def is_module(state: object) -> TypeGuard[tuple[object, ...]]:
    """Whether a state is that of a quantized convolution's module.

    Its values are in_channels, out_channels, kernel_size, stride, padding, dilation, transposed,
    output_padding, groups, padding_mode, weight, bias, scale, zero_point, training: from PyTorch
    1.3 to today, in Python's pickles and in TorchScript's.
    """
    return (
        isinstance(state, tuple)
        and len(state) == MODULE_VALUES
        and isinstance(state[6], bool)
        and isinstance(state[9], str)
        and is_quantized(state[10])
    )


def module_record(name: str, class_name: str, state: tuple[Any, ...]) -> ConvRecord:
    """Return the record of a module's state, whose tensors have been read."""
    ins, outs, kernel, stride, padding, dilation, transposed, output_padding, groups = state[:9]
    padding_mode, weight, bias, scale, zero_point, _ = state[9:]
    dims = _check_weight(weight).values.dim() - 2
    record = _record(
        name,
        "module",
        class_name,
        weight,
        bias,
        {
            "stride": _sizes("stride", stride, dims),
            "padding": _sizes("padding", padding, dims),
            "dilation": _sizes("dilation", dilation, dims),
            "output_padding": _sizes("output_padding", output_padding, dims),
            "groups": groups,
            "transposed": transposed,
            "padding_mode": padding_mode,
            **_output(scale, zero_point),
        },
    )
    for field, value, found in (
        ("in_channels", ins, record.in_channels),
        ("out_channels", outs, record.out_channels),
        ("kernel_size", _sizes("kernel_size", kernel, dims), record.kernel_size),
    ):
        if value != found:
            raise FormatError(
                f"{field} must be that of the weight, {show(found)}, got {show(value)}"
            )
    return record


def state_dict_record(name: str, weight: FileTensor, bias: object, *output: object) -> ConvRecord:
    """Return the record of a module's tensors. output: its scale and zero point."""
    return _record(name, "state_dict", "", weight, bias, _output(*output))


def packed_record(
    name: str, class_name: str, dims: int, version: object, state: tuple[Any, ...]
) -> ConvRecord:
    """Return the record of the state of a packed object, of any version of the format."""
    match version, state:
        case 1, (weight, bias, stride, padding, dilation, groups):
            geometry = {
                "stride": _sizes("stride", _integers("stride", stride), dims),
                "padding": _sizes("padding", _integers("padding", padding), dims),
                "dilation": _sizes("dilation", _integers("dilation", dilation), dims),
                "output_padding": (0,) * dims,
                "groups": _integers("groups", [groups])[0],
                "transposed": False,
            }
            return _record(name, "1", class_name, weight, bias, geometry)
        case 2, (_, [FileTensor(values=Tensor() as config), weight], ([] | [_]) as rest):
            if config.dtype != torch.int16 or config.shape != (4 * dims + 3,):
                raise FormatError(
                    f"config must be {4 * dims + 3} numbers of torch.int16, "
                    f"got size {show(tuple(config.shape))} of {config.dtype}"
                )
            bias = rest[0] if rest else None
            return _record(name, "2", class_name, weight, bias, _config(config.tolist(), dims))
        case 3, (_, list(config), [None, weight, bias]):
            return _record(name, "3", class_name, weight, bias, _config(config, dims))
        case "torch_qconv_prepack.1", _:
            return _own_record(name, class_name, dims, state)
    raise FormatError(f"state of version {version} must have that version's parts, got others")


def _own_record(name: str, class_name: str, dims: int, state: tuple[object, ...]) -> ConvRecord:
    try:
        params = from_state(state, dims=3 if dims == 3 else 2, engine="auto")
    except (ValueError, TypeError, NotImplementedError) as error:
        raise FormatError(str(error)) from None
    weight, bias = params.unpack()
    integers = weight.int_repr()
    spatial = params.conv_dims()
    return ConvRecord(
        name=name,
        format="torch_qconv_prepack.1",
        class_name=class_name,
        weight=integers.squeeze(2) if spatial == 1 else integers,
        scales=params.weight_scales(),
        zero_points=params.weight_zero_points(),
        per_channel=params.per_channel(),
        bias=bias,
        stride=tuple(params.stride()[-spatial:]),
        padding=tuple(params.padding()[-spatial:]),
        dilation=tuple(params.dilation()[-spatial:]),
        output_padding=tuple(params.output_padding()[-spatial:]),
        groups=params.groups(),
        transposed=params.transpose(),
    )


def _record(
    name: str,
    form: Format,
    class_name: str,
    weight: object,
    bias: object,
    fields: dict[str, Any],
) -> ConvRecord:
    """Check what all forms have in common. `fields` are those of the record that differ."""
    weight = _check_weight(weight)
    values = weight.values
    assert weight.scales is not None
    assert weight.zero_points is not None
    transposed = fields.get("transposed")
    axes = (None, 0, 1) if transposed is None else (None, int(transposed))
    if weight.axis not in axes:
        raise FormatError(
            f"weight must be quantized along its output channels, axis {axes[1]}, "
            f"got axis {weight.axis}"
        )
    if transposed is None and weight.axis == 1:
        fields = {**fields, "transposed": True}  # no other convolution has its channels there
    return checked(
        ConvRecord(
            name=name,
            format=form,
            class_name=class_name,
            weight=values,
            scales=weight.scales,
            zero_points=weight.zero_points,
            per_channel=weight.axis is not None,
            bias=_bias(bias),
            **fields,
        )
    )


def checked(record: ConvRecord) -> ConvRecord:
    """Return a record whose numbers and shapes agree.

    Raises:
        FormatError: they don't.
    """
    groups, inputs = record.groups, record.weight.shape[0]
    if groups is not None and not _is_size(groups, 1):
        raise FormatError(f"groups must be an integer above 0, got {show(groups)}")
    if groups is not None and inputs % groups:
        raise FormatError(f"groups must divide the channels, {inputs}, got {show(groups)}")
    outputs = record.out_channels
    if record.bias is not None and outputs not in (None, len(record.bias)):
        raise FormatError(f"bias must have {outputs} elements, got {len(record.bias)}")
    for field, least in (("stride", 1), ("padding", 0), ("dilation", 1), ("output_padding", 0)):
        numbers = getattr(record, field)
        if numbers is not None and len(numbers) != record.dims:
            raise FormatError(f"{field} must have {record.dims} elements, got {show(numbers)}")
        if numbers is not None and not all(_is_size(number, least) for number in numbers):
            raise FormatError(f"{field} must be integers from {least} on, got {show(numbers)}")
    entries = record.weight.shape[int(bool(record.transposed))] if record.per_channel else 1
    shapes = {tuple(record.scales.shape), tuple(record.zero_points.shape)}
    if shapes != {(entries,)}:
        raise FormatError(f"scales and zero points must be {entries} each, got others")
    if not bool((record.scales.isfinite() & (record.scales > 0)).all()):
        raise FormatError("scales must be finite and above 0, got others")
    if not bool(((record.zero_points >= -128) & (record.zero_points <= 127)).all()):
        raise FormatError("zero points must be in (-128, 127), got others")
    return record


def _check_weight(weight: object) -> FileTensor:
    if not isinstance(weight, FileTensor) or weight.scales is None:
        raise FormatError(f"weight must be a quantized tensor, got {show(weight)}")
    values = weight.values
    if values.dtype != torch.int8 or not 3 <= values.dim() <= 5 or values.numel() == 0:
        raise FormatError(
            "weight must be int8 of 3 to 5 dimensions with elements, got size "
            f"{show(tuple(values.shape))} of {values.dtype}"
        )
    return weight


def _bias(bias: object) -> Tensor | None:
    if bias is None:
        return None
    if not isinstance(bias, FileTensor):
        raise FormatError(f"bias must be a tensor or None, got {show(bias)}")
    if bias.values.dtype != torch.float32 or bias.values.dim() != 1:
        raise FormatError(
            "bias must be a float32 tensor of one dimension, got size "
            f"{show(tuple(bias.values.shape))} of {bias.values.dtype}"
        )
    return bias.values


def _config(config: list[Any], dims: int) -> dict[str, Any]:
    """The fields of a config: dims, stride, padding, dilation, output_padding, groups, flags."""
    if len(config) != 4 * dims + 3 or config[0] != dims or config[-1] not in (0, _TRANSPOSED):
        raise FormatError(
            f"config must be {dims}, {4 * dims + 1} integers and a flag of 0 or 1, "
            f"got {show(config)}"
        )
    lists = (tuple(config[1 + i * dims : 1 + (i + 1) * dims]) for i in range(4))
    names = ("stride", "padding", "dilation", "output_padding")
    return {
        **dict(zip(names, lists, strict=True)),
        "groups": config[-2],
        "transposed": config[-1] == _TRANSPOSED,
    }


def _sizes(field: str, value: object, dims: int) -> Ints:
    """One number per dimension, from what modules of all releases have there."""
    match value:
        case int():  # output_padding, until PyTorch 1.5
            return (value,) * dims
        case tuple() | list() if len(value) == dims:
            return tuple(value)
        case (_, int(last)) if dims == 1:  # 1-D as 2-D, in PyTorch 1.6
            return (last,)
    raise FormatError(f"{field} must have {dims} elements, got {show(value)}")


def _integers(field: str, tensors: object) -> Ints:
    """The numbers of a list of tensors with one integer each."""
    if not isinstance(tensors, list) or len(tensors) > 3:
        raise FormatError(f"{field} must be a list of up to 3 tensors, got {show(tensors)}")
    for tensor in tensors:
        if (
            not isinstance(tensor, FileTensor)
            or tensor.values.dtype != torch.int64
            or tensor.values.numel() != 1
        ):
            raise FormatError(f"{field} must be int64 tensors of one element, got others")
    return tuple(int(tensor.values.item()) for tensor in tensors)


def _output(scale: object, zero_point: object) -> dict[str, float | int]:
    """The fields of an output's quantization: numbers, or tensors with one element each."""
    numbers = [
        value.values.item()
        if isinstance(value, FileTensor) and value.values.numel() == 1
        else value
        for value in (scale, zero_point)
    ]
    match numbers:
        case [float() | int() as number, int() as zero] if not isinstance(number, bool):
            return {"output_scale": float(number), "output_zero_point": zero}
    raise FormatError(
        f"scale and zero_point must be two numbers, got {show(scale)} and {show(zero_point)}"
    )


def _is_size(value: object, least: int) -> TypeGuard[int]:
    return type(value) is int and least <= value <= _MAX_INT
