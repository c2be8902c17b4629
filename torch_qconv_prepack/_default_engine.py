"""The engine that packs where nobody names one: of the context, else of the process.

Python keeps it, since it follows Python's contexts; the C++ ops ask for it through a callback.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final

import torch

from torch_qconv_prepack._decorator import DecoratingContext
from torch_qconv_prepack._library import LIBRARY

VARIABLE: Final = "TORCH_QCONV_ENGINE"
_NONE: Final = -1

# Engines are known to the callback by their index in this list.
_names: Final = tuple(torch.ops.torch_qconv_prepack._engine_names())


def _index(what: str, name: str) -> int:
    if name not in _names:
        raise ValueError(f"{what} must be one of {', '.join(_names)}, got {name!r}")
    return _names.index(name)


def _index_of_process() -> int:
    name = os.environ.get(VARIABLE)
    # Empty counts as not set: a shell can't unset a variable for one command.
    return _index(f"torch_qconv_prepack: {VARIABLE}", name) if name else _NONE


_of_process: Final = _index_of_process()
_current: ContextVar[int] = ContextVar("torch_qconv_prepack_engine", default=_of_process)
# The blocks that are open in this context, outermost first. A copy of the context, as a new task
# gets, starts inside them.
_open_blocks: ContextVar[tuple[tuple[EngineContext, Token[int]], ...]] = ContextVar(
    "torch_qconv_prepack_open_blocks", default=()
)


class EngineContext(DecoratingContext):
    """What :func:`engine` returns: a context manager and decorator, made once, used any number of
    times, nested in itself and from several threads at once."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"engine: name must be a string, got {name!r}")
        self._index = _index("engine: name", name)
        self._name = name

    def __repr__(self) -> str:
        return f"engine({self._name!r})"

    def __enter__(self) -> None:
        token = _current.set(self._index)
        _open_blocks.set((*_open_blocks.get(), (self, token)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        blocks = _open_blocks.get()
        if not blocks or blocks[-1][0] is not self:
            raise RuntimeError(
                f"{self}: must be left in the context that entered it, and after the blocks inside "
                "it"
            )
        _current.reset(blocks[-1][1])
        _open_blocks.set(blocks[:-1])


def engine(name: str) -> EngineContext:
    """Choose the engine that packs inside a ``with`` block or a decorated function.

    It holds for every prepack in the current context that isn't given ``engine=``, and for loading
    saved objects, whatever engine they were saved with; objects that are already packed stay as
    they are. Contexts are Python's (:mod:`contextvars`): tasks of asyncio start with the engine of
    whoever made them and keep changes to themselves; new threads, TorchScript's included, start
    with the one of the process (``TORCH_QCONV_ENGINE``).

    Args:
        name: of an engine or policy in :func:`engines`. One that isn't available here is accepted:
            what packs raises NotImplementedError, with the reason.

    Returns:
        A context manager and decorator, for functions and coroutine functions.

    Raises:
        ValueError: no such engine or policy.
        TypeError: ``name`` is no string.

    Example:
        >>> import torch_qconv_prepack as qconv
        >>> with qconv.engine("fbgemm"):
        ...     qconv.default_engine()
        'fbgemm'
        >>> qconv.default_engine()
        'auto'
    """
    return EngineContext(name)


def default_engine() -> str:
    """Name the engine or policy that packs in the current context where nobody names one.

    Returns:
        The one of the innermost :func:`engine` block, else of the environment variable
        ``TORCH_QCONV_ENGINE`` as it was at import, else ``"auto"``. In the last case alone a saved
        object is packed by the engine that it was saved with.
    """
    index = _current.get()
    return "auto" if index == _NONE else _names[index]


def default_engine_source() -> str:
    """Say where that engine is named: "context", the variable's name, or "package" for nowhere."""
    if _open_blocks.get():
        return "context"
    return "package" if _of_process == _NONE else VARIABLE


_Callback = ctypes.CFUNCTYPE(ctypes.c_int64)
# A built-in method and no Python function: no signal handler, tracer or garbage collection runs in
# it, so that it can't raise.
_callback = _Callback(_current.get)


def _set_callback(callback: Any) -> None:
    # Already loaded; not ctypes.PyDLL, since the function waits for threads that want the GIL.
    function = ctypes.CDLL(str(LIBRARY)).torch_qconv_prepack_set_default_engine
    function.argtypes, function.restype = [_Callback, ctypes.c_void_p, ctypes.c_int64], None
    thread_state = ctypes.cast(ctypes.pythonapi.PyGILState_GetThisThreadState, ctypes.c_void_p)
    function(callback, thread_state, _of_process)


def _remove_callback(_kept_alive: Any) -> None:
    _set_callback(_Callback())


_set_callback(_callback)
# The argument keeps the callback alive for as long as C++ may call it, whoever forgets this module.
atexit.register(_remove_callback, _callback)
