"""The demo's table, and the checks that decide whether it passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .evaluate import Measurement

if TYPE_CHECKING:
    from rich.table import Table

# The int8 network may lose what calibration of 8 bits usually costs, and no more.
ACCURACY_TOLERANCE = 0.5  # points


@dataclass(frozen=True)
class Row:
    """One network's results.

    `microseconds` are per image: the quartiles over the repeats, median in the middle. `differing`
    values are counts against the exact int8 network; logits of float32 are not comparable.
    """

    title: str
    accuracy: float  # per cent
    must_be_exact: bool = False
    rounds_bias: bool = False  # and so may give other digits
    microseconds: tuple[float, float, float] | None = None
    kilobytes: float | None = None
    differing_digits: int | None = None
    differing_logits: int | None = None


@dataclass(frozen=True)
class Report:
    """The rows of the table: our engines, stock PyTorch, the exact int8 network, float32."""

    rows: tuple[Row, ...]
    float_accuracy: float  # per cent
    images: int

    def failures(self) -> list[str]:
        """Return a sentence for each check that does not hold; empty if all do."""
        ours = [row for row in self.rows if row.must_be_exact]
        failures = [] if ours else ["no engine of torch_qconv_prepack is available"]
        for row in ours:
            loss = abs(row.accuracy - self.float_accuracy)
            if loss > ACCURACY_TOLERANCE:
                failures.append(
                    f"{row.title}: accuracy must be within {ACCURACY_TOLERANCE} points of "
                    f"float32's {self.float_accuracy:.2f} %, got {row.accuracy:.2f} %"
                )
            if row.differing_digits and not row.rounds_bias:
                failures.append(
                    f"{row.title}: every digit must be the exact int8 network's, "
                    f"got {row.differing_digits} of {self.images} that differ"
                )
        return failures

    def table(self) -> Table:
        """Return the rows as a table to print with rich."""
        from rich import box
        from rich.table import Table

        machine = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
        table = Table(
            box=box.SIMPLE,
            pad_edge=False,
            title=f"Handwritten digits: {self.images} test images, networks run in a fresh process",
            caption=(
                "Time: median and half the interquartile range, all images as one batch, one "
                f"thread, from pixels to logits; {machine}. File: the saved network, 1 kB = 1000 "
                "bytes. ≠ exact: digits (argmax) and 8-bit logits that are not those of the same "
                "int8 network in exact arithmetic."
            ),
            caption_justify="left",
        )
        table.add_column("network", no_wrap=True)
        headers = ("accuracy\n%", "µs per\nimage", "file\nkB", "digits\n≠ exact", "logits\n≠ exact")
        for header in headers:
            table.add_column(header, justify="right")
        for row in self.rows:
            table.add_row(
                row.title,
                f"{row.accuracy:.2f}",
                _time(row.microseconds),
                _optional(row.kilobytes, ".1f"),
                _optional(row.differing_digits, "d"),
                _optional(row.differing_logits, "d"),
            )
        return table


def measured_row(
    title: str,
    measurement: Measurement,
    labels: Tensor,
    exact_logits: Tensor,
    file_bytes: int,
    must_be_exact: bool = False,
) -> Row:
    """Return the row of a network that ran: labels int64 [N], exact_logits int64 [N, 10]."""
    logits = measurement.logits
    quartiles = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    low, median, high = (measurement.seconds / len(labels) * 1e6).quantile(quartiles).tolist()
    quantized = not logits.is_floating_point()
    return Row(
        title=title,
        accuracy=accuracy(logits, labels),
        must_be_exact=must_be_exact,
        microseconds=(low, median, high),
        kilobytes=file_bytes / 1000,
        differing_digits=int((logits.argmax(1) != exact_logits.argmax(1)).sum()),
        differing_logits=int((logits != exact_logits).sum()) if quantized else None,
    )


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows of logits [N, 10] whose largest is at labels [N], in per cent."""
    return (logits.argmax(1) == labels).double().mean().item() * 100


def _time(microseconds: tuple[float, float, float] | None) -> str:
    if microseconds is None:
        return "-"
    low, median, high = microseconds
    return f"{median:.1f} ±{(high - low) / 2:.1f}"


def _optional(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
