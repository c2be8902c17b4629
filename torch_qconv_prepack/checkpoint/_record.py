"""What `read` returns for each convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from torch_qconv_prepack._params import PackedParams, check_engine
from torch_qconv_prepack._states import from_state

from ._tensors import FileTensor, as_quantized

Format: TypeAlias = Literal[
    "module", "1", "2", "3", "torch_qconv_prepack.1", "state_dict", "migrated.1"
]
Ints: TypeAlias = tuple[int, ...]

GEOMETRY = ("stride", "padding", "dilation", "output_padding", "groups", "transposed")
_OPS = torch.ops.torch_qconv_prepack


@dataclass(frozen=True, eq=False)
class ConvRecord:
    """A quantized convolution that a file holds, in plain tensors.

    Attributes:
        name: of the module in the model, as in a state_dict, or the place of a packed object, such
            as `layers[0]`; empty for what is all that the file holds. No two records of a file
            share one.
        format: how it was saved: `"module"` (the tuple of a `torch.nn.quantized` module), `"1"`,
            `"2"`, `"3"` (versions of PyTorch's packed objects), `"torch_qconv_prepack.1"` (this
            package's own), `"state_dict"`, or `"migrated.1"` (docs/migrated_files.md).
        class_name: of the saved object, without TorchScript's manglings; empty in a state_dict.
        weight: int8, [out, in / groups, kernel...], transposed [in, out / groups, kernel...], with
            the strides of the file. One-dimensional where the file tells; the packed objects of
            PyTorch don't and hold a kernel of height 1.
        scales: of the weight, float64, [1] or one per channel (of the weight's dimension 0,
            transposed 1).
        zero_points: of the weight, int64, likewise.
        per_channel: whether there is one for each channel.
        bias: float32 [out], or None. QNNPACK saves zeros where there was none.
        stride: one number per spatial dimension, as all tuples here. None, as the five fields that
            follow, where the file doesn't tell: a state_dict has the tensors only.
        padding: zeros on both sides of the input.
        dilation: distance of the kernel's taps.
        output_padding: extra size of a transposed convolution's output.
        groups: groups of channels that see only each other.
        transposed: whether it is a transposed convolution.
        padding_mode: `"zeros"`, or how a module pads its input before the convolution.
        output_scale: of the module's output, where the file tells, else None.
        output_zero_point: likewise.

    Example (see `read`):
        >>> import torch, torch_qconv_prepack as qconv
        >>> record = qconv.checkpoint.ConvRecord(
        ...     name="stem", format="module", class_name="Conv2d",
        ...     weight=torch.ones(8, 3, 3, 3, dtype=torch.int8),
        ...     scales=torch.tensor([0.1], dtype=torch.float64), zero_points=torch.tensor([0]),
        ...     per_channel=False, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1),
        ...     output_padding=(0, 0), groups=1, transposed=False)
        >>> record.kind, record.in_channels, record.out_channels
        ('conv2d', 3, 8)
        >>> params = record.pack()
    """

    name: str
    format: Format
    class_name: str
    weight: Tensor
    scales: Tensor
    zero_points: Tensor
    per_channel: bool
    bias: Tensor | None
    stride: Ints | None = None
    padding: Ints | None = None
    dilation: Ints | None = None
    output_padding: Ints | None = None
    groups: int | None = None
    transposed: bool | None = None
    padding_mode: str = "zeros"
    output_scale: float | None = None
    output_zero_point: int | None = None

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return self.weight.dim() - 2

    @property
    def kind(self) -> str:
        """`"conv1d"` to `"conv_transpose3d"`, both where the file doesn't tell which."""
        names = {False: f"conv{self.dims}d", True: f"conv_transpose{self.dims}d"}
        return " or ".join(names[t] for t in names if self.transposed in (t, None))

    @property
    def kernel_size(self) -> Ints:
        """The weight's spatial sizes."""
        return tuple(self.weight.shape[2:])

    @property
    def in_channels(self) -> int | None:
        """Channels of the input; None where `groups` and `transposed` aren't known."""
        if self.groups is None or self.transposed is None:
            return None
        return self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups

    @property
    def out_channels(self) -> int | None:
        """Channels of the output; None where `groups` and `transposed` aren't known."""
        if self.groups is None or self.transposed is None:
            return None
        return self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0]

    @property
    def symmetric(self) -> bool:
        """Whether every zero point of the weight is 0."""
        return not bool(self.zero_points.any())

    @property
    def missing(self) -> list[str]:
        """Names of the fields that packing needs and the file didn't tell."""
        return [name for name in GEOMETRY if getattr(self, name) is None]

    def pack(self, engine: str | None = None) -> PackedParams:
        """Pack the convolution.

        Args:
            engine: name of the engine that packs; by default the default one.

        Returns:
            Packed params. With a kernel of height 1 that does nothing else in that dimension they
            run as 1-D and as 2-D, since PyTorch's packed objects don't tell which was meant.

        Raises:
            ValueError: a value is wrong, or missing: `dataclasses.replace(record, stride=(1, 1),
                ...)` adds what a state_dict lacks.
            NotImplementedError: no engine, or not the one asked for, can run it, or the input is
                to be padded with something other than zeros.
        """
        check_engine("pack", engine)
        self._check_geometry("pack")
        lists = [getattr(self, field) for field in GEOMETRY[:4]]
        axis = None if not self.per_channel else int(bool(self.transposed))
        weight = as_quantized(FileTensor(self.weight, self.scales, self.zero_points, axis))
        if self.dims == 1:
            stride, padding, dilation, output_padding = map(list, lists)
            if self.transposed:
                return _OPS.conv_transpose1d_prepack(
                    *(weight, self.bias, stride, padding, output_padding, dilation, self.groups),
                    engine=engine,
                )
            return _OPS.conv1d_prepack(
                weight, self.bias, stride, padding, dilation, self.groups, engine=engine
            )
        numbers = [number for values in lists for number in values]
        config = [self.dims, *numbers, self.groups, int(bool(self.transposed))]
        dims: Literal[2, 3] = 2 if self.dims == 2 else 3
        return from_state((3, config, [None, weight, self.bias]), dims=dims, engine=engine)

    def _check_geometry(self, function: str) -> None:
        name = repr(self.name) if self.name else "the convolution"
        if self.missing:
            raise ValueError(
                f"{function}: {name} must have {', '.join(self.missing)}, which a state_dict "
                "doesn't hold; add them with dataclasses.replace(record, stride=..., ...)"
            )
        for field in GEOMETRY[:4]:
            values = getattr(self, field)
            if len(values) != self.dims:
                raise ValueError(
                    f"{function}: {field} of {name} must have {self.dims} elements, got {values}"
                )
        if self.padding_mode != "zeros":
            raise NotImplementedError(
                f"{function}: {name} must pad with zeros, got padding_mode {self.padding_mode!r}; "
                "pad the input with torch.nn.functional.pad and pack with padding 0: "
                "dataclasses.replace(record, padding=..., padding_mode='zeros')"
            )
