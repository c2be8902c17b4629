"""A pickle reader that imports, calls and sets nothing.

pickle.Unpickler with a restricted find_class still calls __setstate__ and append on what it built,
sets attributes on the classes it was given, hashes dict keys of any depth and allocates a memo as
long as the file asks for. This stack machine only arranges what the pickle holds: numbers, strings,
tuples, lists and dicts become themselves, everything else an inert Node. What a Node means is for
the caller, who knows the few that PyTorch writes.
"""

from __future__ import annotations

import pickletools
from typing import Any, Protocol

from ._nodes import FormatError, Global, Node, OpaqueKey, PersistentId, show

# A large model's pickle has some 100,000 opcodes; each makes at most one small Python object. Those
# that hold others take up to 300 bytes each, for an opcode of one byte.
MAX_OPCODES = 5_000_000
MAX_OBJECTS = 1_000_000
_MAX_NAME = 1000

_ORDERED_DICT = "collections.OrderedDict"
_SET, _FROZENSET = Global("builtins.set"), Global("builtins.frozenset")
_MAKES_OBJECT = frozenset(
    "EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE EMPTY_LIST EMPTY_DICT EMPTY_SET FROZENSET GLOBAL "
    "STACK_GLOBAL REDUCE NEWOBJ NEWOBJ_EX BINPERSID".split()
)


class Readable(Protocol):
    """What pickletools needs of a file."""

    def read(self, count: int, /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


def parse(data: bytes | Readable, persistent_ids: list[PersistentId] | None = None) -> object:
    """Return the tree of values that a pickle of protocol 2 to 5 describes.

    Args:
        data: the pickle, or a file at its first byte, which is then left behind its last one.
        persistent_ids: gets every persistent id of the pickle.

    Raises:
        FormatError: the pickle is malformed, uses an opcode that PyTorch does not write, has more
            than MAX_OPCODES opcodes, or makes more than MAX_OBJECTS objects.
    """
    machine = _Machine([] if persistent_ids is None else persistent_ids)
    objects = 0
    try:
        source: Any = data
        for count, (opcode, argument, position) in enumerate(pickletools.genops(source)):
            if count >= MAX_OPCODES:
                raise FormatError(f"pickle must have at most {MAX_OPCODES} opcodes, got more")
            objects += opcode.name in _MAKES_OBJECT
            if objects > MAX_OBJECTS:
                raise FormatError(
                    f"pickle must make at most {MAX_OBJECTS} tuples, lists, dicts and objects, "
                    "got more"
                )
            try:
                machine.step(opcode.name, argument)
            except (IndexError, KeyError):
                raise FormatError(
                    "pickle must only use what it put on its stack, "
                    f"got a missing value at byte {position}"
                ) from None
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"pickle must be whole, got one cut or garbled ({error})") from None
    return machine.result


class _Machine:
    def __init__(self, persistent_ids: list[PersistentId]) -> None:
        self.persistent_ids = persistent_ids
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.expanded = 0  # pairs that became items of a dict
        self.result: object = None

    def step(self, opcode: str, argument: Any) -> None:
        """Execute one opcode. `argument` is as pickletools decodes it."""
        stack = self.stack
        match opcode:
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "MARK":
                self.marks.append(len(stack))
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                stack.append(argument)
            case (
                "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "BINSTRING" | "SHORT_BINSTRING"
            ):
                stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                stack.append(argument)
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "TUPLE":
                stack.append(tuple(self.pop_to_mark()))
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self.pop(int(opcode[-1]))))
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_SET":
                stack.append(Node(_SET, ()))
            case "FROZENSET":
                stack.append(Node(_FROZENSET, (), items=self.pop_to_mark()))
            case "APPEND":
                _extend(stack[-2], self.pop(1))
            case "APPENDS" | "ADDITEMS":
                items = self.pop_to_mark()
                _extend(stack[-1], items)
            case "SETITEM":
                _update(stack[-3], self.pop(2))
            case "SETITEMS":
                items = self.pop_to_mark()
                _update(stack[-1], items)
            case "GLOBAL":
                module, _, name = argument.partition(" ")
                stack.append(_global(module, name))
            case "STACK_GLOBAL":
                module, name = self.pop(2)
                stack.append(_global(module, name))
            case "REDUCE" | "NEWOBJ":
                target, args = self.pop(2)
                stack.append(self.reduce(target, args))
            case "NEWOBJ_EX":
                target, *args = self.pop(3)
                stack.append(Node(target, tuple(args)))
            case "BUILD":
                (state,) = self.pop(1)
                _build(stack[-1], state)
            case "BINPERSID":
                self.persistent_ids.append(PersistentId(*self.pop(1)))
                stack.append(self.persistent_ids[-1])
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "POP":
                self.pop(1)
            case "POP_MARK":
                self.pop_to_mark()
            case "STOP":
                (self.result,) = self.pop(1)
            case "PROTO" | "FRAME":
                pass
            case _:
                raise FormatError(f"pickle must use opcodes of protocols 2 to 5, got {opcode}")

    def reduce(self, target: object, args: object) -> object:
        if isinstance(args, tuple) and _is_ordered_dict(target):
            match args:
                case ():
                    return {}
                case (list(pairs),) if all(isinstance(p, list) and len(p) == 2 for p in pairs):
                    # Python 2's form; PyTorch 1.4 was the last release for it.
                    self.expanded += len(pairs)
                    if self.expanded > MAX_OPCODES:
                        raise FormatError("pickle must use each list of pairs once, got more")
                    ordered: dict[object, object] = {}
                    _update(ordered, [item for pair in pairs for item in pair])
                    return ordered
        return Node(target, args)

    def pop(self, count: int) -> list[object]:
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list[object]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


def _global(module: object, name: object) -> Global:
    if not isinstance(module, str) or not isinstance(name, str):
        raise FormatError(f"pickle must name classes by text, got {show(module)}, {show(name)}")
    if len(module) + len(name) > _MAX_NAME:
        # One long string, put on the stack again and again, would be copied each time.
        raise FormatError(f"pickle must name classes in at most {_MAX_NAME} characters, got more")
    return Global(f"{module}.{name}")


def _is_ordered_dict(target: object) -> bool:
    return isinstance(target, Global) and target.path == _ORDERED_DICT


def _build(target: object, state: object) -> None:
    if isinstance(target, dict):
        return  # attributes of an OrderedDict, such as a state_dict's _metadata
    if not isinstance(target, Node) or target.has_state:
        raise FormatError(f"pickle must set the state of a new object once, got {show(target)}")
    target.state, target.has_state = state, True


def _extend(target: object, items: list[object]) -> None:
    if isinstance(target, Node):
        target.items.extend(items)
    elif isinstance(target, list):
        target.extend(items)
    else:
        raise FormatError(f"pickle must append to a list, got {show(target)}")


def _update(target: object, items: list[object]) -> None:
    if len(items) % 2:
        raise FormatError("pickle must give each dict key a value, got one without")
    pairs = zip(items[::2], items[1::2], strict=True)
    if isinstance(target, Node):
        target.items.extend(pairs)
    elif isinstance(target, dict):
        for key, value in pairs:
            plain = key is None or isinstance(key, str | bytes | int | float)
            target[key if plain else OpaqueKey(key)] = value
    else:
        raise FormatError(f"pickle must set items of a dict, got {show(target)}")
