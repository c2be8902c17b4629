"""Who takes part: this package's engines and PyTorch's, as whole ops called from Python, and the
convolution nodes of other runtimes.

A contestant is made for one problem. To add one, write a class like `TorchOp` and name it in
`PEERS`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Protocol

import torch
from problem import Problem
from timing import Call, Contestant
from torch import Tensor

import torch_qconv_prepack as qconv


class Runner(Contestant, Protocol):
    def output(self) -> Tensor:
        """What it computes: uint8 [batch, out_channels, *output_size]."""

    def kernel(self) -> str:
        """What ran, in its library's words; of ops the engine."""


class TorchOp:
    """A run op of this package or of PyTorch; the output is allocated in each call."""

    def __init__(self, problem: Problem, engine: str, ours: bool) -> None:
        namespace = torch.ops.torch_qconv_prepack if ours else torch.ops.quantized
        prepack = getattr(namespace, f"{problem.layer.op}_prepack")
        if ours:
            packed = prepack(*problem.pack_arguments, engine=engine)
        else:
            torch.backends.quantized.engine = engine
            packed = prepack(*problem.pack_arguments)
        # Which engine a policy chose.
        self._engine = qconv.describe(packed).engine if ours else engine
        arguments = (problem.activation, packed, problem.output_scale, problem.output_zero_point)
        self._call = Call(getattr(namespace, problem.run_op), arguments)

    def time_block(self, repetitions: int) -> float:
        return self._call.time_block(repetitions)

    def output(self) -> Tensor:
        result: Tensor = self._call.function(*self._call.arguments)
        return result.int_repr()

    def kernel(self) -> str:
        return self._engine


Maker = Callable[[Problem, int], Runner]


def _ours(engine: str) -> Maker:
    return lambda problem, threads: TorchOp(problem, engine, ours=True)


def _stock(engine: str) -> Maker:
    return lambda problem, threads: TorchOp(problem, engine, ours=False)


def _openvino(problem: Problem, threads: int) -> Runner:
    from openvino_node import OpenVinoNode

    return OpenVinoNode(problem, threads)


def _onnxruntime(problem: Problem, threads: int) -> Runner:
    from onnxruntime_node import OnnxRuntimeNode

    return OnnxRuntimeNode(problem, threads)


def _core(problem: Problem, threads: int) -> Runner:
    from core_layer import CoreLayer

    return CoreLayer(problem, threads)


# Names of peers, what the tables call them, and the modules that they need.
PEERS: dict[str, tuple[str, Maker, tuple[str, ...]]] = {
    "x86": ("stock x86", _stock("x86"), ()),
    "onednn": ("stock onednn", _stock("onednn"), ()),
    "fbgemm": ("stock fbgemm", _stock("fbgemm"), ()),
    "qnnpack": ("stock qnnpack", _stock("qnnpack"), ()),
    "openvino": ("openvino node", _openvino, ("openvino",)),
    "onnxruntime": ("onnxruntime node", _onnxruntime, ("onnxruntime", "onnx")),
    "core": ("our core from C", _core, ()),
    "our-fbgemm": ("our fbgemm", _ours("fbgemm"), ()),
    "our-qnnpack": ("our qnnpack", _ours("qnnpack"), ()),
    "our-onednn": ("our onednn", _ours("onednn"), ()),
}
DEFAULT_PEERS = ("x86", "onednn", "fbgemm", "openvino", "onnxruntime")


def missing_modules(peer: str) -> list[str]:
    """The modules that a peer needs and that aren't installed."""
    return [name for name in PEERS[peer][2] if importlib.util.find_spec(name) is None]


def make_runners(
    problem: Problem, engine: str, peers: list[str], threads: int
) -> tuple[dict[str, Runner], dict[str, str]]:
    """The subject first, then the peers, by their names in tables; and why some don't take part.

    engine: of this package, the subject; its name in tables is "ours".
    """
    makers = {"ours": _ours(engine), **{PEERS[peer][0]: PEERS[peer][1] for peer in peers}}
    runners: dict[str, Runner] = {}
    refusals: dict[str, str] = {}
    for name, maker in makers.items():
        try:
            runner = maker(problem, threads)
            runner.output()
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if name == "ours":
                raise
            refusals[name] = str(error).splitlines()[0]
        else:
            runners[name] = runner
    return runners, refusals
