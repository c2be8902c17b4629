"""Where PyTorch's engine of the same name is right, ours gives the same bits."""

import pytest
import torch
from cases import CASES
from comparison import compare
from conv_case import ConvCase
from ops import named, pack, run, stock_pack, stock_run
from random_cases import random_case, special_case
from stock_defects import can_run

# Not onednn: PyTorch has another version of it.
engines = pytest.mark.parametrize("engine", ["fbgemm", "qnnpack"])


def check(case: ConvCase, engine: str) -> bool:
    """Compare; False where there is nothing to compare with, since PyTorch is wrong or refuses."""
    if not can_run(case, engine):
        return False
    data = case.data()
    stock = stock_run(data, stock_pack(data, engine))
    if not compare(stock, data.expected(engine=engine)).acceptable:
        return False  # test_stock_defects.py; ours is held to the reference
    params = pack(data, engine)
    ours = run(data, params)
    assert torch.equal(ours.int_repr(), stock.int_repr()), case.settings()
    assert ours.stride() == stock.stride()
    # Our object under PyTorch's own op.
    guised = stock_run(data, params.as_quantized())
    assert torch.equal(guised.int_repr(), stock.int_repr())
    if not case.transposed:  # PyTorch has no transposed relu
        assert torch.equal(
            run(data, params, "_relu").int_repr(),
            stock_run(data, stock_pack(data, engine), "_relu").int_repr(),
        )
    return True


@engines
@pytest.mark.parametrize("case", **named(CASES))
def test_table(case: ConvCase, engine: str) -> None:
    check(case, engine)


@engines
def test_most_of_the_table_can_be_compared(engine: str) -> None:
    comparable = [c for c in CASES if can_run(c, engine) and not c.full_range]
    compared = sum(check(case, engine) for case in comparable[::7])
    assert compared == len(comparable[::7])


@engines
@pytest.mark.parametrize("first_seed", range(1000, 1200, 50))
def test_random_shapes(first_seed: int, engine: str) -> None:
    compared = 0
    for seed in range(first_seed, first_seed + 50):
        compared += check(random_case(seed), engine) + check(special_case(seed), engine)
    assert compared > 30  # of 100; PyTorch refuses the others, or is wrong
