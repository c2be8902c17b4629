"""Holds a quantized output to the reference.

The tolerances are stated once: here, and for float32 requantization in reference.py.
"""

from dataclasses import dataclass

from reference import Expected
from torch import Tensor

# For kernels with a float32 epilogue of any order of operations. Its distance from float64 stays
# below this many quanta unless sum and bias exceed 1600 quanta each and cancel, and 99.8 % of
# outputs lie farther from a tie and must be exact.
TIE_MARGIN = 1e-3

# Rounding errors have no preferred sign. A mean above this shows a bias (truncation, a wrong
# zero point), which "off by at most 1" alone would let through.
MEAN_ERROR_LIMIT = 0.01


@dataclass(frozen=True)
class Difference:
    """How far a quantized output is from the reference, in quanta."""

    worst: int
    wrong: int
    total: int
    mean: float

    @property
    def acceptable(self) -> bool:
        # In a small output one permitted tie outweighs the limit on the mean.
        return self.wrong == 0 and abs(self.mean) <= max(MEAN_ERROR_LIMIT, 1 / max(self.total, 1))


def compare(actual: Tensor, expected: Expected, margin: float | Tensor | None = None) -> Difference:
    """Difference of a quint8 or uint8 output from the reference.

    An element is wrong unless it is the reference's value, or one away from it where adding or
    taking `margin` quanta before rounding gives it. margin None: `expected.float32_error`.
    """
    values = (actual.int_repr() if actual.is_quantized else actual).long()
    if values.shape != expected.scaled.shape:
        raise AssertionError(
            f"output shape is {tuple(values.shape)}, expected {tuple(expected.scaled.shape)}"
        )
    if values.numel() == 0:
        return Difference(worst=0, wrong=0, total=0, mean=0.0)
    reach = expected.float32_error if margin is None else margin
    error = values - expected.quantized
    near_tie = (
        (values >= expected.shifted(-reach))
        & (values <= expected.shifted(reach))
        & (error.abs() <= 1)
    )
    wrong = (error != 0) & ~near_tie
    return Difference(
        worst=int(error.abs().max()),
        wrong=int(wrong.sum()),
        total=values.numel(),
        mean=float(error.double().mean()),
    )


def assert_matches(
    actual: Tensor, expected: Expected, margin: float | Tensor | None = None
) -> None:
    """Raise AssertionError unless `actual` equals the reference within `margin` of a tie."""
    difference = compare(actual, expected, margin)
    assert difference.acceptable, (
        f"{difference.wrong} of {difference.total} outputs are wrong, "
        f"by up to {difference.worst} quanta; mean error {difference.mean:+.4f}"
    )
