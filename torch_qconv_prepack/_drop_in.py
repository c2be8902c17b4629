"""Drop-in mode: PyTorch's own ops and classes for quantized convolutions use this package."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Final

import torch

from torch_qconv_prepack import _stream_loading
from torch_qconv_prepack._decorator import DecoratingContext
from torch_qconv_prepack._params import check_engine

VARIABLE: Final = "TORCH_QCONV_ENABLE"

_ops = torch.ops.torch_qconv_prepack

# Re-entrant: a signal handler or finalizer may run anywhere.
_lock = threading.RLock()
_tickets: set[int] = set()
_ticket_of_process: int | None = None


def enable(engine: str | None = None) -> None:
    """Let PyTorch's own quantized convolutions use this package, in the whole process.

    From then on the ops ``torch.ops.quantized.*conv*`` pack and run with this package, and saved
    packed objects of PyTorch's (``torch.load``, ``torch.jit.load``, ``copy.deepcopy``) come back as
    objects of this package. Existing models need no change. Objects that PyTorch packed before run
    as they did, in PyTorch. docs/drop_in.md tells the rest.

    Calling it again only changes the engine.

    Args:
        engine: name of the engine or policy that packs, as the argument ``engine`` of this
            package's prepack ops; by default the one of :func:`torch_qconv_prepack.engine` and
            ``TORCH_QCONV_ENGINE``, else ``"auto"``.

    Raises:
        ValueError: no such engine or policy.
        TypeError: ``engine`` is no string.

    Example:
        >>> import torch, torch_qconv_prepack as qconv
        >>> qconv.enable()
        >>> conv = torch.ao.nn.quantized.Conv2d(3, 8, 3)
        >>> qconv.describe(conv._packed_params).kind
        'conv2d'
        >>> qconv.disable()
    """
    global _ticket_of_process
    with _lock:
        ticket = _enter("enable", engine)
        disable()
        _ticket_of_process = ticket


def disable() -> None:
    """Undo :func:`enable`: PyTorch is as it was before.

    Objects made meanwhile keep working, in PyTorch's ops too. Where drop-in mode isn't on, this
    does nothing; inside a block of :func:`enabled` the mode stays on until the block ends.
    """
    global _ticket_of_process
    with _lock:
        if _ticket_of_process is not None:
            _leave(_ticket_of_process)
            _ticket_of_process = None


class _Enabled(DecoratingContext):
    """What :func:`enabled` returns."""

    def __init__(self, engine: str | None) -> None:
        self._engine = engine
        self._tickets: list[int] = []  # of the blocks that are open

    def __repr__(self) -> str:
        return "enabled()" if self._engine is None else f"enabled({self._engine!r})"

    def __enter__(self) -> None:
        self._tickets.append(_enter("enabled", self._engine))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _leave(self._tickets.pop())


def enabled(engine: str | None = None) -> _Enabled:
    """Turn drop-in mode on inside a ``with`` block.

    It is on for the whole process, other threads included, until the last block is left and
    :func:`disable` has undone :func:`enable`. Blocks may be nested, and overlap in any way.

    Args:
        engine: as in :func:`enable`. Of several, the one that came last counts.

    Returns:
        A context manager and decorator, for functions and coroutine functions, which may be used
        any number of times.

    Raises:
        ValueError: no such engine or policy.
        TypeError: ``engine`` is no string.

    Example:
        >>> import torch, torch_qconv_prepack as qconv
        >>> with qconv.enabled(engine="fbgemm"):
        ...     conv = torch.ao.nn.quantized.Conv2d(3, 8, 3)
        >>> qconv.describe(conv._packed_params).engine
        'fbgemm'
    """
    return _Enabled(engine)


def is_enabled() -> bool:
    """Tell whether drop-in mode is on in this process."""
    return bool(_tickets)


def enable_from_environment() -> None:
    """Turn drop-in mode on where the environment variable says so; called at import.

    Raises:
        ValueError: it is neither ``1`` nor ``0`` nor empty.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise ValueError(f"torch_qconv_prepack: {VARIABLE} must be 1 or 0, got {value!r}")
    if value == "1":
        enable()


def _enter(function: str, engine: str | None) -> int:
    check_engine(function, engine)
    with _lock:
        ticket: int = _ops._drop_in_enable(engine)
        _tickets.add(ticket)
        # torch.ops asks every argument that isn't a tensor for a __torch_function__, which an
        # object of a C++ class denies by two C++ exceptions: most of what a call costs. This is
        # torch's marker for "none", as this package's own classes have (_torch_function.py).
        torch.ScriptObject.__torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[attr-defined]
        _stream_loading.install()
        return ticket


def _leave(ticket: int) -> None:
    with _lock:
        _ops._drop_in_disable(ticket)
        _tickets.remove(ticket)
        if not _tickets:
            del torch.ScriptObject.__torch_function__  # type: ignore[attr-defined]
            _stream_loading.remove()
