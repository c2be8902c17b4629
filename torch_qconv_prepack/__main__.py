"""`python -m torch_qconv_prepack COMMAND`.

A command is a module with `HELP`, `add_arguments(parser)` and `execute(options) -> exit status`; to
add one, write it and name it in `_COMMANDS`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from ._dependencies import MissingDependencyError
from .checkpoint import inspect_command as inspect
from .checkpoint import migrate_command as migrate
from .demo import command as demo
from .info import command as info

_COMMANDS: dict[str, ModuleType] = {
    "info": info,
    "inspect": inspect,
    "migrate": migrate,
    "demo": demo,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, by default those of the process; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m torch_qconv_prepack", description="Int8 convolution for PyTorch on CPUs."
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in _COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(subparser)
        subparser.set_defaults(execute=command.execute)
    options = parser.parse_args(arguments)
    try:
        status: int = options.execute(options)
    except MissingDependencyError as error:
        print(error, file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
