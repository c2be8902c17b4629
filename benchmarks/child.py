"""A process for calls that may kill it, as PyTorch's own quantized ops do."""

from __future__ import annotations

import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

# Longest that one request may take before its process counts as hung, in seconds.
PATIENCE = 20.0

Answer = Callable[[Any], Any]


@dataclass(frozen=True)
class Death:
    """Comes instead of an answer. reason: the exit status."""

    reason: str


@dataclass(frozen=True)
class _Failure:
    """A Python error that `answer` let pass."""

    traceback: str


def check_heap() -> None:
    """Let processes that are started from now on abort where memory is overrun (glibc only)."""
    os.environ["LD_PRELOAD"] = "libc_malloc_debug.so.0"
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.check=3"


def _serve(connection: Connection, answer: Answer, engine: str, threads: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # The C library's last words on a broken heap.
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.backends.quantized.engine = engine
    while (request := connection.recv()) is not None:
        try:
            connection.send(answer(request))
        except Exception:
            connection.send(_Failure(traceback.format_exc()))


class Child:
    """Answers requests in another process, under one of PyTorch's engines.

    answer: a function of a module, called in the other process; requests are never None.
    A process that dies is replaced.
    """

    def __init__(self, answer: Answer, engine: str, threads: int = 1) -> None:
        self._arguments = (answer, engine, threads)
        self._start()

    def _start(self) -> None:
        # Forked from a server that has loaded torch once: a crash then costs milliseconds.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch", "conv_case"])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request: Any) -> Any:
        """What `answer` returns, or a Death. An error that it raises is a RuntimeError here."""
        try:
            self._connection.send(request)
            if self._connection.poll(PATIENCE):
                result = self._connection.recv()
                if isinstance(result, _Failure):
                    raise RuntimeError(result.traceback)
                return result
            self._process.kill()
        except (EOFError, ConnectionError):
            pass
        self._process.join()
        reason = f"exit status {self._process.exitcode}"
        self._start()
        return Death(reason)

    def close(self) -> None:
        self._connection.send(None)
        self._process.join()
        self._connection.close()
