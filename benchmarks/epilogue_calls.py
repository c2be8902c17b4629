"""The contestants of epilogues.py, and their tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import suites
import torch
from problem import Problem, make_problem
from timing import Call, Sampling, Spread, interleaved, ratios
from torch import Tensor

import torch_qconv_prepack as qconv

# Whose time is the measure of a table.
SUBJECTS = {"add": "conv_relu", "outputs": "uint8", "functions": "none", "dynamic": "dynamic"}

Calls = dict[str, Call]


def add_calls(problem: Problem, engine: str) -> Calls:
    calls = {}
    for name, namespace, keywords in _namespaces(engine, ["onednn"]):
        packed = namespace.conv2d_prepack(*problem.pack_arguments, **keywords)
        x, scale, zero_point = _quantized_arguments(problem)
        addend = torch.quantize_per_tensor(
            _floats(problem, scale), scale, zero_point, torch.quint8
        ).contiguous(memory_format=torch.channels_last)
        calls[f"{name}conv_relu"] = Call(namespace.conv2d_relu, (x, packed, scale, zero_point))
        calls[f"{name}conv_add_relu"] = Call(
            namespace.conv2d_add_relu, (x, addend, packed, scale, zero_point)
        )
    return calls


def output_calls(problem: Problem, engine: str) -> Calls:
    return {
        "uint8": _plain(problem, engine, torch.uint8),
        "int8": _plain(problem, engine, torch.int8),
        "int8 in": _plain(problem, engine, torch.uint8, signed=True),
        "int8 both": _plain(problem, engine, torch.int8, signed=True),
        "float32": _plain(problem, engine, torch.float32),
        "bfloat16": _plain(problem, engine, torch.bfloat16),
    }


def function_calls(problem: Problem, engine: str) -> Calls:
    functions: dict[str, tuple[str, list[float], str]] = {
        "none": ("none", [], ""),
        "hardtanh": ("hardtanh", [0.0, 6.0], ""),
        "leaky_relu": ("leaky_relu", [0.1], ""),
        "hardswish": ("hardswish", [], ""),
        "swish": ("swish", [], ""),
        "sigmoid": ("sigmoid", [], ""),
        "gelu": ("gelu", [], "none"),
        "gelu tanh": ("gelu", [], "tanh"),
    }
    calls = {
        name: _plain(problem, engine, torch.uint8, function=function)
        for name, function in functions.items()
    }
    calls["add float32"] = _plain(problem, engine, torch.uint8, addend=torch.float32)
    return calls


def dynamic_calls(problem: Problem, engine: str) -> Calls:
    calls = {}
    x = problem.activation.dequantize()
    stock = [name for name in ("x86", "onednn", "fbgemm") if name in _stock_engines()]
    for name, namespace, keywords in _namespaces(engine, stock):
        packed = namespace.conv2d_prepack(*problem.pack_arguments, **keywords)
        calls[f"{name}dynamic"] = Call(namespace.conv2d_dynamic, (x, packed, False))
        if not name:
            channels_first = x.contiguous(memory_format=torch.contiguous_format)
            arguments = (channels_first, packed, False)
            calls["channels first"] = Call(namespace.conv2d_dynamic, arguments)
            activation, *output = _quantized_arguments(problem)
            calls["conv_relu"] = Call(namespace.conv2d_relu, (activation, packed, *output))
    return calls


CALLS: dict[str, Callable[[Problem, str], Calls]] = {
    "add": add_calls,
    "outputs": output_calls,
    "functions": function_calls,
    "dynamic": dynamic_calls,
}


def _stock_engines() -> list[str]:
    return list(torch.backends.quantized.supported_engines)


def _namespaces(engine: str, stock: list[str]) -> list[tuple[str, Any, dict[str, str]]]:
    """Ours, then PyTorch's ops with each engine, which is the default while it packs."""
    found: list[tuple[str, Any, dict[str, str]]] = [
        ("", torch.ops.torch_qconv_prepack, {"engine": engine})
    ]
    for name in stock:
        found.append((f"stock {name} ", _StockOps(name), {}))
    return found


class _StockOps:
    """PyTorch's ops, whose prepack ops take the engine from a setting."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        torch.backends.quantized.engine = self._engine
        return getattr(torch.ops.quantized, name)


def _quantized_arguments(problem: Problem) -> tuple[Tensor, float, int]:
    return problem.activation, problem.output_scale, problem.output_zero_point


def _floats(problem: Problem, scale: float) -> Tensor:
    """A tensor of the output's size that fills half of the output's range."""
    layer = problem.layer
    sizes = (problem.activation.size(0), layer.out_channels, *layer.output_size)
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(sizes, generator=generator) * 40 * scale).contiguous(
        memory_format=torch.channels_last
    )


def _plain(
    problem: Problem,
    engine: str,
    dtype: torch.dtype,
    signed: bool = False,
    function: tuple[str, list[float], str] = ("none", [], ""),
    addend: torch.dtype | None = None,
) -> Call:
    """The op on plain tensors. dtype: the output's; signed: an int8 input."""
    layer, ops = problem.layer, torch.ops.torch_qconv_prepack
    x, scale, zero_point = _quantized_arguments(problem)
    weight, integers, shift = problem.weight, x.int_repr(), 128 if signed else 0
    if signed:
        integers = (integers.int() - shift).to(torch.int8)
    scales = weight.q_per_channel_scales().float()
    zero_points = weight.q_per_channel_zero_points().int()
    lists = (list(layer.stride), list(layer.padding), [1, 1], layer.groups)
    quantization = (x.q_scale(), x.q_zero_point() - shift)
    with qconv.engine(engine):
        packed = ops.qconv_prepack(weight.int_repr(), scales, *quantization, *lists, None)
    if dtype in (torch.float32, torch.bfloat16):
        output = (1.0, 0, dtype)
    else:
        output = (scale, zero_point - (128 if dtype == torch.int8 else 0), dtype)
    head = (integers, *quantization, packed, scales, zero_points)
    tail = (problem.bias, *lists, *output)
    if addend is None:
        return Call(ops.qconv2d_pointwise.default, (*head, *tail, *function))
    tensor = _floats(problem, scale).to(addend)
    binary = (1.0, 0, "add", None, *function)
    return Call(ops.qconv2d_pointwise.binary, (*head, tensor, *tail, *binary))


def measure(
    what: str, layers: list[tuple[str, suites.Layer]], engine: str, batch: int, sampling: Sampling
) -> list[dict[str, Any]]:
    """layers: with their suites. Returns a record for each."""
    records = []
    for suite, layer in layers:
        times = interleaved(CALLS[what](make_problem(layer, batch), engine), sampling)
        ratio = ratios(times, SUBJECTS[what])
        records.append(
            {
                "suite": suite,
                "layer": layer.name,
                "microseconds": {
                    name: dataclasses.asdict(Spread.of(rounds)) for name, rounds in times.items()
                },
                "ratios": {name: dataclasses.asdict(spread) for name, spread in ratio.items()},
            }
        )
    return records
