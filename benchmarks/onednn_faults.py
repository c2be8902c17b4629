"""Finds the shapes for which implementations of oneDNN are wrong.

    python benchmarks/onednn_faults.py --cases 5000 --seed 0
    python benchmarks/onednn_faults.py --cases 5000 --isa AVX512_CORE_VNNI --raw

Packs and runs random convolutions with the engine onednn, and counts by implementation: what
oneDNN itself reports under ONEDNN_VERBOSE, or "exact" for this package's loops. Every output is
held to the float64 reference of test/reference.py. Each object runs an input, with ReLU as well,
the same again, one of another size, batch and zero point, a float one, and (forward) with an addend
and with activation functions, then gives its weight back.

--raw lets oneDNN run whatever it offers: it turns off the guard of
csrc/engines/onednn/implementation_guard.cpp, which without it must leave no output wrong.
"""

import argparse
import os
import platform
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))
sys.path.insert(0, str(Path(__file__).parents[1]))


@dataclass
class Tally:
    """The runs of one implementation; wrong ones are counted by check."""

    cases: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    worst: int = -1
    example: str = ""


class Implementations:
    """Reads from the C library's standard output which implementations oneDNN ran.

    Printing goes to the real standard output through `report`.
    """

    def __init__(self) -> None:
        self.report: TextIO = os.fdopen(os.dup(1), "w")
        self._file = tempfile.TemporaryFile("w+")  # noqa: SIM115
        os.dup2(self._file.fileno(), 1)

    def latest(self) -> str:
        """The implementations since the last call, joined; "exact" where oneDNN ran none."""
        # Positions are shared with the C library, which goes on writing behind what was read.
        size = os.lseek(1, 0, os.SEEK_CUR)
        text = os.pread(1, size, 0).decode()
        os.lseek(1, 0, os.SEEK_SET)
        os.ftruncate(1, 0)
        lines = [line.split(",") for line in text.splitlines()]
        # A deconvolution may run a convolution inside: the outer one counts.
        for kind in ("deconvolution", "convolution"):
            names = {line[4] for line in lines if line[1:2] == ["exec"] and line[3:4] == [kind]}
            if names:
                return "+".join(sorted(names))
        return "exact"


def float_error(case, data, params):  # type: ignore[no-untyped-def]
    """Worst error of the float output in units of its bound, rounded down."""
    from dynamic_reference import quantize_dynamic_input
    from ops import kind, op
    from reference import FLOAT32_ROUNDING, real_conv

    if data.activation.numel() == 0:
        return 0
    real = data.activation.dequantize()
    qx = quantize_dynamic_input(real)
    expected = real_conv(qx, data.weight, data.bias, data.geometry)
    actual = op(kind(case.dims, case.transposed) + "_dynamic")(real, params, False)
    bias = float(data.bias.abs().max()) if data.bias is not None else 0.0
    bound = 8 * FLOAT32_ROUNDING * (float(expected.abs().max()) + 2 * bias) + 1e-30
    return int(float((actual.double() - expected).abs().max()) / bound)


def function_error(data, function):  # type: ignore[no-untyped-def]
    """Worst error in quanta of a uint8 output after a function; 2 where the mean is off."""
    from plain_call import PlainCall

    import torch_qconv_prepack as qconv

    call = PlainCall(data, function)
    if data.activation.numel() == 0:
        return 0
    with qconv.engine("onednn"):
        weight = call.prepack()
    error = call.run(weight).long() - call.quantized(call.real())
    off = abs(float(error.double().mean())) > max(0.01, 1 / error.numel())
    return max(int(error.abs().max()), 2 * off)


def observe(case, implementations):  # type: ignore[no-untyped-def]
    """Yield (implementation, check, wrong, quanta) of every check of one case."""
    import torch
    from comparison import compare
    from ops import kind, op, pack, run
    from sums import addend_of, expected_sum

    data = case.data()
    params = pack(data, "onednn")
    implementations.latest()

    def compared(check, actual, expected):  # type: ignore[no-untyped-def]
        difference = compare(actual, expected)
        return implementations.latest(), check, not difference.acceptable, difference.worst

    yield compared("run", run(data, params), data.expected(engine="onednn"))
    yield compared("relu", run(data, params, "_relu"), data.expected(relu=True, engine="onednn"))
    yield compared("twice", run(data, params), data.expected(engine="onednn"))
    larger = tuple(size + 2 for size in case.input_size)
    other = case.but(input_size=larger, batch=case.batch % 2 + 1, seed=case.seed + 1).data()
    again = replace(data, activation=other.activation)
    yield compared("again", run(again, params), again.expected(engine="onednn"))
    error = float_error(case, data, params)
    yield implementations.latest(), "float", error > 0, error
    if not case.transposed:
        addend = addend_of(data, case.seed)
        name = kind(case.dims, False)
        for relu in (False, True):
            arguments = (addend, params, data.output_scale, data.output_zero_point)
            actual = op(name + ("_add_relu" if relu else "_add"))(data.activation, *arguments)
            difference = compare(actual, expected_sum(data, addend, relu, "onednn"))
            # Where the convolution is 0 these addends lie on ties: the mean says nothing.
            yield implementations.latest(), "add", difference.wrong > 0, difference.worst
        for function in ("hardtanh", "hardswish", "swish"):
            error = function_error(data, function)
            yield implementations.latest(), function, error > 1, error
    unpacked = op(f"{kind(case.dims, case.transposed)}_unpack")(params)[0]
    same = torch.equal(unpacked.int_repr(), data.weight.int_repr())
    yield implementations.latest(), "unpack", not same, 0


def cases(count: int, seed: int, moderate: bool) -> Iterator[object]:
    from random_cases import random_case, special_case

    for s in range(seed, seed + count):
        case = special_case(s) if s % 2 else random_case(s)
        full_range = case.full_range and not moderate
        yield case.but(weight_zero_points=False, full_range=full_range)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case")
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads")
    parser.add_argument("--isa", help="cap of oneDNN's instruction set, as AVX512_CORE_VNNI")
    parser.add_argument("--raw", action="store_true", help="without this package's guard")
    parser.add_argument("--moderate", action="store_true", help="no data that saturate int16")
    parser.add_argument("--list", action="store_true", help="print every wrong case")
    arguments = parser.parse_args()
    os.environ["ONEDNN_VERBOSE"] = "1"
    if arguments.isa:
        os.environ["ONEDNN_MAX_CPU_ISA"] = arguments.isa
    if arguments.raw:
        os.environ["TORCH_QCONV_ONEDNN_GUARD"] = "0"
    warnings.simplefilter("ignore")

    implementations = Implementations()
    report = implementations.report
    import torch

    import torch_qconv_prepack  # noqa: F401

    torch.set_num_threads(arguments.threads)
    tallies: dict[tuple[str, str], Tally] = {}
    for case in cases(arguments.cases, arguments.seed, arguments.moderate):
        seen = set()
        for implementation, check, wrong, quanta in observe(case, implementations):
            key = (implementation, "transposed" if case.transposed else "forward")
            tally = tallies.setdefault(key, Tally())
            tally.cases += key not in seen and check != "unpack"
            seen.add(key)
            if wrong:
                tally.wrong[check] += 1
                if arguments.list:
                    print(*key, check, quanta, case.name, case.settings(), file=report, flush=True)
                if quanta > tally.worst:
                    tally.worst, tally.example = quanta, f"{case.name}: {case.settings()}"
    print(
        f"oneDNN, torch {torch.__version__}, {platform.machine()}, at most "
        f"{arguments.isa or 'any instructions'}, {arguments.threads} threads, {arguments.cases} "
        f"cases from seed {arguments.seed}, {'without' if arguments.raw else 'with'} guard",
        file=report,
    )
    for (implementation, kind), tally in sorted(tallies.items()):
        wrong = " ".join(f"{check} {count}" for check, count in tally.wrong.items()) or "none"
        print(f"{implementation:32} {kind:10} {tally.cases:6} cases; wrong: {wrong}", file=report)
        if tally.wrong:
            print(f"    by up to {tally.worst}: {tally.example}", file=report)
    total = sum(sum(tally.wrong.values()) for tally in tallies.values())
    print(f"wrong checks in all: {total}", file=report)
    sys.exit(total > 0 and not arguments.raw)


if __name__ == "__main__":
    main()
