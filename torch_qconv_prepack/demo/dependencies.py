"""Import of the packages that only the demo needs."""

from __future__ import annotations

import importlib
from types import ModuleType

INSTALL_COMMAND = 'pip install "torch_qconv_prepack[demo]"'


class MissingDependencyError(ImportError):
    """A package that only one command needs is not installed."""


def require(module: str, distribution: str) -> ModuleType:
    """Import `module`, which the distribution of that name on the package index installs.

    Raises:
        MissingDependencyError: it is not installed; the text names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"demo: needs {distribution}, which could not be imported ({error}); "
            f"install it with: {INSTALL_COMMAND}"
        ) from error
