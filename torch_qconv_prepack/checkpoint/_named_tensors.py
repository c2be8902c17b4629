"""Records as named tensors and back: the format of migrated files (docs/migrated_files.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from ._container import memory
from ._decode import checked
from ._nodes import FormatError, show
from ._record import GEOMETRY, ConvRecord

VERSION: Final = "migrated.1"
METADATA = "torch_qconv_prepack.metadata"
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

_DTYPES = {
    "weight": torch.int8,
    "weight_scale": torch.float64,
    "weight_zero_point": torch.int32,
    "geometry": torch.int64,
    "bias": torch.float32,
    "output_scale": torch.float64,
    "output_zero_point": torch.int64,
}
_ALWAYS = ("weight", "weight_scale", "weight_zero_point", "geometry")
_MAX_METADATA_BYTES = 1 << 24


def tensor_name(record: str, part: str) -> str:
    """Name a record's tensor as a state_dict names a module's."""
    return f"{record}.{part}" if record else part


def to_tensors(records: Sequence[ConvRecord], source: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a migrated file, none of which shares memory with another.

    Args:
        records: with their geometry.
        source: what the metadata tell of where they come from.

    Raises:
        NotImplementedError: a record pads its input in a way that has no number.
    """
    tensors: dict[str, Tensor] = {}
    for record in records:
        for part, tensor in _parts(record).items():
            tensors[tensor_name(record.name, part)] = tensor
    metadata = {
        "format": VERSION,
        "source": dict(source),
        "convolutions": {
            record.name: {"format": record.format, "class_name": record.class_name}
            for record in records
        },
        "sha256": digest(tensors),
    }
    text = json.dumps(metadata, ensure_ascii=True).encode()
    tensors[METADATA] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return tensors


def _parts(record: ConvRecord) -> dict[str, Tensor]:
    if record.padding_mode not in PADDING_MODES:
        raise NotImplementedError(
            f"migrate: {record.name!r} must have a padding_mode of {', '.join(PADDING_MODES)}, "
            f"got {record.padding_mode!r}"
        )
    numbers = [record.dims]
    for name in GEOMETRY[:4]:
        numbers += getattr(record, name)
    assert record.groups is not None
    flags = (record.transposed, record.per_channel)
    numbers += [record.groups, *map(int, map(bool, flags))]
    numbers.append(PADDING_MODES.index(record.padding_mode))
    values = {
        "weight": record.weight,
        "weight_scale": record.scales,
        "weight_zero_point": record.zero_points,
        "geometry": torch.tensor(numbers),
        "bias": record.bias,
        "output_scale": _scalar(record.output_scale),
        "output_zero_point": _scalar(record.output_zero_point),
    }
    return {
        part: tensor.to(_DTYPES[part], memory_format=torch.contiguous_format, copy=True)
        for part, tensor in values.items()
        if tensor is not None
    }


def _scalar(value: float | int | None) -> Tensor | None:
    return (
        None
        if value is None
        else torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)
    )


def from_tensors(tensors: Mapping[str, Tensor]) -> list[ConvRecord]:
    """Return the records of named tensors, in the order of their names; what else is there is left.

    Raises:
        FormatError: a convolution lacks a tensor, or one isn't what it should be.
    """
    suffix = ".geometry"
    names = sorted(
        name.removesuffix("geometry").removesuffix(".")
        for name in tensors
        if name == "geometry" or name.endswith(suffix)
    )
    return [_record(name, tensors) for name in names]


def _record(name: str, tensors: Mapping[str, Tensor]) -> ConvRecord:
    parts = {}
    for part, dtype in _DTYPES.items():
        tensor = tensors.get(tensor_name(name, part))
        if tensor is None and part in _ALWAYS:
            raise FormatError(f"{show(name)}: tensor {part} must be there, got none")
        if tensor is not None:
            if tensor.dtype != dtype:
                raise FormatError(f"{show(name)}: {part} must be {dtype}, got {tensor.dtype}")
            parts[part] = tensor
    try:
        return _from_parts(name, parts)
    except FormatError as error:
        raise FormatError(f"{show(name)}: {error}") from None


def _from_parts(name: str, parts: Mapping[str, Tensor]) -> ConvRecord:
    weight, geometry = parts["weight"], parts["geometry"]
    dims = weight.dim() - 2
    if not 1 <= dims <= 3 or geometry.shape != (4 * dims + 5,):
        raise FormatError(
            "weight must have 3 to 5 dimensions and geometry the numbers for as many, "
            f"got sizes {show(tuple(weight.shape))} and {show(tuple(geometry.shape))}"
        )
    first, *numbers, groups, transposed, per_channel, padding_mode = geometry.tolist()
    if (
        first != dims
        or transposed not in (0, 1)
        or per_channel not in (0, 1)
        or not 0 <= padding_mode < len(PADDING_MODES)
    ):
        raise FormatError(
            f"geometry must start with {dims} and end with two flags of 0 or 1 and a padding mode "
            f"below {len(PADDING_MODES)}, got {show(tuple(geometry.tolist()))}"
        )
    lists = (tuple(numbers[i * dims : (i + 1) * dims]) for i in range(4))
    scale, zero_point = parts.get("output_scale"), parts.get("output_zero_point")
    for part in (scale, zero_point):
        if part is not None and part.dim() != 0:
            raise FormatError(
                "output_scale and output_zero_point must have no dimensions, got some"
            )
    record = ConvRecord(
        name=name,
        format=VERSION,
        class_name="",
        weight=weight,
        scales=parts["weight_scale"],
        zero_points=parts["weight_zero_point"].long(),
        per_channel=per_channel == 1,
        bias=parts.get("bias"),
        **dict(zip(GEOMETRY[:4], lists, strict=True)),
        groups=groups,
        transposed=transposed == 1,
        padding_mode=PADDING_MODES[padding_mode],
        output_scale=None if scale is None else scale.item(),
        output_zero_point=None if zero_point is None else int(zero_point.item()),
    )
    return checked(record)


def read_metadata(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the metadata of a migrated file's tensors.

    Raises:
        FormatError: there are none, or none of this version.
    """
    tensor = tensors.get(METADATA)
    if tensor is None:
        raise FormatError(f"tensors must have {METADATA}, as migrate writes it, got none")
    if tensor.dtype != torch.uint8 or tensor.dim() != 1 or len(tensor) > _MAX_METADATA_BYTES:
        raise FormatError(f"{METADATA} must be at most {_MAX_METADATA_BYTES} bytes, got others")
    try:
        metadata = json.loads(bytes(memory(tensor.contiguous())))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{METADATA} must be JSON, got {error}") from None
    version = metadata.get("format") if isinstance(metadata, dict) else None
    if version != VERSION:
        raise FormatError(f"format must be {VERSION}, got {show(version)}")
    return dict(metadata)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of all tensors but the metadata: names, types, sizes and bytes."""
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        if name == METADATA:
            continue
        tensor = tensors[name].contiguous()
        if tensor.numel() == 1:  # for which contiguous() keeps any strides
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        head = f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0"
        sha256.update(head.encode())
        sha256.update(memory(tensor.reshape(-1).view(torch.uint8)))
    return sha256.hexdigest()


def with_class_names(
    records: Sequence[ConvRecord], metadata: Mapping[str, Any]
) -> list[ConvRecord]:
    """Add the class names that the metadata tell."""
    known = metadata.get("convolutions")
    known = known if isinstance(known, dict) else {}
    named = []
    for record in records:
        entry = known.get(record.name)
        class_name = entry.get("class_name") if isinstance(entry, dict) else None
        named.append(replace(record, class_name=class_name if isinstance(class_name, str) else ""))
    return named
