"""`inspect`: what is inside of a file, in values that JSON has."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ._migrated import is_safetensors
from ._read import read
from ._record import ConvRecord, Format, Ints
from ._stream import is_stream

ContainerKind: TypeAlias = Literal["zip", "stream", "safetensors"]


@dataclass(frozen=True)
class ConvInfo:
    """One convolution of a file; the fields that `ConvRecord` has as well mean the same.

    Attributes:
        kind: `"conv1d"` to `"conv_transpose3d"`; both, joined by "or", where the file doesn't tell.
        weight_scheme: `"per_channel"` or `"per_tensor"`.
        weight_zero_points: the smallest and the largest zero point of the weight.
        bias: whether there is one.
        weight_bytes: of the weight's integers.
        packed_bytes: what the packed convolution holds in memory; None where it isn't packed.
        engine: the engine that packed it.
        problem: why it can't be packed, else None; also None where the geometry isn't known.
    """

    name: str
    kind: str
    format: Format
    class_name: str
    in_channels: int | None
    out_channels: int | None
    weight_shape: Ints
    kernel_size: Ints
    stride: Ints | None
    padding: Ints | None
    dilation: Ints | None
    output_padding: Ints | None
    groups: int | None
    padding_mode: str
    weight_scheme: Literal["per_channel", "per_tensor"]
    weight_zero_points: tuple[int, int]
    bias: bool
    output_scale: float | None
    output_zero_point: int | None
    weight_bytes: int
    packed_bytes: int | None
    engine: str | None
    problem: str | None


@dataclass(frozen=True)
class FileInfo:
    """What is inside of a file.

    Attributes:
        path: as it was given.
        container: `"zip"`, `"stream"` (of torch.save before PyTorch 1.6) or `"safetensors"`.
        bytes: the file's size.
        convolutions: in the order of the file.
    """

    path: str
    container: ContainerKind
    bytes: int
    convolutions: tuple[ConvInfo, ...]


def inspect(path: str | os.PathLike[str]) -> FileInfo:
    """Tell what quantized convolutions a file holds, without running anything in it.

    Each is packed with the default engine, to tell how much memory it takes and whether it can be.

    Args:
        path: a file that `read` reads.

    Returns:
        A dataclass of plain values.

    Raises:
        ValueError: the file is damaged, or holds what PyTorch would not write.
        OSError: the file cannot be opened.

    Example:
        >>> import os, tempfile, torch, torch_qconv_prepack as qconv
        >>> path = os.path.join(tempfile.mkdtemp(), "model.pt")
        >>> torch.save({"stem": torch.ao.nn.quantized.Conv2d(3, 8, 3)}, path)
        >>> info = qconv.checkpoint.inspect(path)
        >>> info.container, info.convolutions[0].weight_shape
        ('zip', (8, 3, 3, 3))
    """
    with open(path, "rb") as file:
        stream, safetensors = is_stream(file), is_safetensors(file)
        size = os.fstat(file.fileno()).st_size
    container: ContainerKind = "stream" if stream else "safetensors" if safetensors else "zip"
    convolutions = tuple(_info(record) for record in read(path))
    return FileInfo(os.fspath(path), container, size, convolutions)


def _info(record: ConvRecord) -> ConvInfo:
    packed_bytes, engine, problem = None, None, None
    if not record.missing:
        try:
            # How a module pads its input doesn't change what is packed.
            params = replace(record, padding_mode="zeros").pack()
            packed_bytes, engine = params.nbytes(), params.engine()
        except (ValueError, TypeError, NotImplementedError) as error:
            problem = str(error)
    zero_points = record.zero_points
    return ConvInfo(
        name=record.name,
        kind=record.kind,
        format=record.format,
        class_name=record.class_name,
        in_channels=record.in_channels,
        out_channels=record.out_channels,
        weight_shape=tuple(record.weight.shape),
        kernel_size=record.kernel_size,
        stride=record.stride,
        padding=record.padding,
        dilation=record.dilation,
        output_padding=record.output_padding,
        groups=record.groups,
        padding_mode=record.padding_mode,
        weight_scheme="per_channel" if record.per_channel else "per_tensor",
        weight_zero_points=(int(zero_points.min()), int(zero_points.max())),
        bias=record.bias is not None,
        output_scale=record.output_scale,
        output_zero_point=record.output_zero_point,
        weight_bytes=record.weight.numel(),
        packed_bytes=packed_bytes,
        engine=engine,
        problem=problem,
    )
