"""The feature matrix as a page of the docs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from feature_matrix import PAGE, Matrix, run_all, run_native
from features import Outcome
from matrix_tables import (
    HEADINGS,
    WITHOUT_VNNI,
    Stock,
    section_table,
    shapes_table,
    short_table,
)

STOCK_MATRIX = Path(__file__).parents[1] / "benchmarks" / "stock_matrix.py"

HEAD = """\
# What runs where

Made by `make matrix`, which runs every row and holds it to the float64 reference;
`test/test_feature_matrix.py` does the same and holds this package's columns to what it finds.
PyTorch's columns are what `benchmarks/stock_matrix.py` found of its own ops, each run in a
process of its own, on torch {torch}, {cpu}, {instructions}, VNNI: {vnni};
`test/test_stock_matrix.py` holds some of them to what it finds.

| word | means |
|---|---|
| right | equal to the reference, but for roundings of values very near to a tie |
| wrong | not so; numbers are the largest differences in 1-D, 2-D and 3-D, in quanta of 0..255 |
| dies | the process ends, or writes outside its buffers, at which glibc's check ends it |
| refuses | an error |
| no op | PyTorch has no such op |

Activations and weights take their full range. PyTorch's x86, its default, is oneDNN where there
is VNNI and the convolution suits that, else FBGEMM, which saturates on such data without VNNI: the
first table has a column of fbgemm held to AVX2, which is what x86 runs on a CPU without VNNI.
`get_default_qconfig` of x86 and fbgemm keeps activations to 0..127, where no two products saturate.
"""

SHAPES = """\
Each cell has an entry for 1-D, 2-D and 3-D: the largest difference from the reference in quanta,
**bold** where it is wrong, or a letter where the engine refuses. Ours are over runs with and
without bias of the plain op, `_relu`, `_add` and `_add_relu`, and `_dynamic` within float32's
rounding; PyTorch's of the plain op and `_relu`, each on an object of its own. Differences of 1 are
roundings of values that lie nearer to a tie than float32 resolves; qnnpack's are from its own
reference, whose bias is rounded to whole units. PyTorch's qnnpack reads beyond its scales for
transposed weights per channel in groups, so that what comes of these rows may change, and what
conv_transpose3d leaves in its output does. Strides are 2, paddings 1, kernels 3x2x3.
"""

TEXTS = {
    "ops": "A convolution of 8 channels to 8.",
    "data": "The same convolution; of the mistakes, an error is right.",
    "networks": "Shapes of networks, for which libraries have kernels of their own.",
    "plain": "`qconv_prepack` and `qconv_pointwise`; PyTorch's are those of `torch.ops.onednn`.",
    "shapes": SHAPES,
}


def run_stock(*arguments: str) -> tuple[dict[str, str], Stock]:
    """What stock_matrix.py finds with these arguments, without this package in its processes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stock.json"
        command = [sys.executable, str(STOCK_MATRIX), *arguments, "--json", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(path.read_text())
    stock: Stock = {}
    for result in found["results"]:
        request = result["request"]
        key = (request["section"], request["row"], request["engine"])
        stock.setdefault(key, []).append(Outcome(**result["outcome"]))
    return found["facts"], stock


def page(matrix: Matrix, stock_facts: dict[str, str], stock: Stock) -> str:
    native = {name: run_native(name) for name in HEADINGS if name != "shapes"}
    native["shapes"] = {f.name: os for (f, engine), os in matrix.items() if engine == "native"}
    parts = [HEAD.format(**stock_facts), "## In short\n", short_table(native, stock)]
    for name, heading in HEADINGS.items():
        whole = name == "shapes"
        table = shapes_table(matrix, stock) if whole else section_table(name, native[name], stock)
        parts += [f"## {heading}\n", TEXTS[name].rstrip() + "\n", table]
    return "\n".join(parts)


if __name__ == "__main__":
    facts, stock = run_stock()
    _, held = run_stock("--engine", "fbgemm", "--isa", "AVX2")
    stock |= {(section, row, WITHOUT_VNNI): os for (section, row, _), os in held.items()}
    PAGE.write_text(page(run_all(), facts, stock))
    print(PAGE, file=sys.stderr)
