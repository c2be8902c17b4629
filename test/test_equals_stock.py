"""Where PyTorch's fbgemm engine is right, ours gives the same bits."""

import pytest
import torch
from cases import CASES
from comparison import compare
from conv_case import ConvCase
from ops import named, pack, run, stock_pack, stock_run
from random_cases import random_case, special_case
from stock_defects import corrupts_memory


def check(case: ConvCase) -> bool:
    """Compare; False where there is nothing to compare with, since PyTorch is wrong or refuses."""
    if case.transposed and case.per_channel:
        return False  # PyTorch refuses these
    if corrupts_memory(case):
        return False
    data = case.data()
    stock = stock_run(data, stock_pack(data, "fbgemm"))
    if not compare(stock, data.expected()).acceptable:
        return False  # test_stock_defects.py; ours is held to the reference
    params = pack(data, "fbgemm")
    ours = run(data, params)
    assert torch.equal(ours.int_repr(), stock.int_repr()), case.settings()
    assert ours.stride() == stock.stride()
    # Our object under PyTorch's own op.
    guised = stock_run(data, params.as_quantized())
    assert torch.equal(guised.int_repr(), stock.int_repr())
    if not case.transposed:  # PyTorch has no transposed relu
        assert torch.equal(
            run(data, params, "_relu").int_repr(),
            stock_run(data, stock_pack(data, "fbgemm"), "_relu").int_repr(),
        )
    return True


@pytest.mark.parametrize("case", **named(c for c in CASES if not (c.transposed and c.per_channel)))
def test_table(case: ConvCase) -> None:
    check(case)


def test_most_of_the_table_can_be_compared() -> None:
    comparable = [c for c in CASES if not (c.transposed and c.per_channel) and not c.full_range]
    compared = sum(check(case) for case in comparable[::7])
    assert compared == len(comparable[::7])


@pytest.mark.parametrize("first_seed", range(1000, 1200, 50))
def test_random_shapes(first_seed: int) -> None:
    compared = 0
    for seed in range(first_seed, first_seed + 50):
        compared += check(random_case(seed)) + check(special_case(seed))
    assert compared > 30  # of 100; the others are transposed per channel, or PyTorch is wrong
