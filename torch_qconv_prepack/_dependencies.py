"""Import of the packages that only some functions and commands need."""

from __future__ import annotations

import importlib
from types import ModuleType


class MissingDependencyError(ImportError):
    """A package that only some functions or commands need is not installed."""


def require(user: str, extra: str, module: str, distribution: str | None = None) -> ModuleType:
    """Import `module` for `user`, a function or command.

    Args:
        user: whose name the error starts with.
        extra: the name of this package's extra that installs it.
        module: what to import.
        distribution: its name on the package index, by default the module's.

    Raises:
        MissingDependencyError: it is not installed; the text names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{user}: needs {distribution or module}, which could not be imported ({error}); "
            f'install it with: pip install "torch_qconv_prepack[{extra}]"'
        ) from error
