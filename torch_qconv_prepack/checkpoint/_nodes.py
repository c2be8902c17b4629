"""What a parsed pickle is made of beside plain values, and how its values are shown in errors."""

from __future__ import annotations

from dataclasses import dataclass, field

_TYPED_LISTS = (
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.restore_type_tag",
)
_MAX_TEXT = 60
_MAX_INT_BITS = 64


class FormatError(ValueError):
    """A file does not hold what its format asks for.

    The text says what was expected and what came; the public function puts its own name and the
    file before it.
    """


class OtherFileError(FormatError):
    """A file that is whole, as far as can be told, but of another program."""


# What a file, the disk or the memory can be the cause of: told to whoever runs a command, or as the
# status of one file of many, without the place in this package.
TOLD_ERRORS = (ValueError, TypeError, NotImplementedError, OSError, MemoryError)


def told(error: BaseException) -> str:
    """Return an error's text, or its name where it has none."""
    return str(error) or type(error).__name__


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """The dotted name of a class or function. It is never imported."""

    path: str


@dataclass(frozen=True, slots=True, eq=False)
class PersistentId:
    """What PyTorch writes in place of a storage, and around the class of a module."""

    value: object


@dataclass(frozen=True, slots=True, eq=False)
class OpaqueKey:
    """A dict key that is no number and no string; hashed by identity, since it may nest deeply."""

    value: object


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """An object that the pickle asks for: `target` called with, or created from, `args`.

    `state` is what its __setstate__ would get (None, with `has_state` false, if nothing);
    `items` are the values, or (key, value) pairs, that would be added to it.
    """

    target: object
    args: object
    has_state: bool = False
    state: object = None
    items: list[object] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The dotted name of the class or function, empty if the target is anything else."""
        match self.target:
            # The format before PyTorch 1.6 adds a module's source: (module, class, file, source).
            case Global(path) | PersistentId(("module", Global(path), *_)):
                return path
            case _:
                return ""

    @property
    def typed_list(self) -> list[object] | None:
        """The list that TorchScript wraps in a call to keep its element type, if this is one."""
        match self.args:
            case (list(values), *_) if self.path in _TYPED_LISTS:
                return values
            case _:
                return None


def show(value: object) -> str:
    """Describe a value from a file on one short line, whatever it holds."""
    match value:
        case str():
            return repr(value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "...")
        case None | bool() | float():
            return repr(value)
        case int():
            bits = value.bit_length()
            return repr(value) if bits <= _MAX_INT_BITS else f"an integer of {bits} bits"
        case tuple() | list():
            if len(value) <= 8 and all(isinstance(v, int | float) for v in value):
                return f"({', '.join(map(show, value))})"
            return f"a {type(value).__name__} of {len(value)} values"
        case Global():
            return f"the name {value.path[:_MAX_TEXT]}"
        case Node():
            return f"an object of {value.path[:_MAX_TEXT] or 'no named class'}"
        case _:
            return getattr(value, "shown", f"a {type(value).__name__}")
