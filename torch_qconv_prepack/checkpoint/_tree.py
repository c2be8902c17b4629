"""The walk over the object tree of a parsed pickle."""

from __future__ import annotations

from collections.abc import Iterator

from ._nodes import FormatError, Node, show

_MAX_DEPTH = 256  # a module in a module takes two or three
MAX_NAME = 4096
# What FX's graph modules are rebuilt by, from a dict of their attributes: PyTorch 1.7, 1.8, later.
_GRAPH_MODULES = (
    "torch._fx.graph_module.deserialize_graphmodule",
    "torch.fx.graph_module.deserialize_graphmodule",
    "torch.fx.graph_module.reduce_graph_module",
)


def walk(name: str, root: object) -> Iterator[tuple[str, Node | dict[object, object]]]:
    """Yield every Node and dict under `root` once, depth first, with its place."""
    seen: set[int] = set()
    path: list[Iterator[tuple[str, object]]] = [iter([(name, root)])]
    while path:
        step = next(path[-1], None)
        if step is None:
            path.pop()
            continue
        place, value = step
        if not isinstance(value, Node | dict | tuple | list) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Node | dict):
            yield place, value
        if len(path) > _MAX_DEPTH or len(place) > MAX_NAME:
            raise FormatError(
                f"object tree must be at most {_MAX_DEPTH} deep, with names of at most {MAX_NAME} "
                f"characters, got more at {show(place)}"
            )
        path.append(_children(place, value))


def _children(place: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, child in value.items():
            # Long keys, shared by many dicts, would be copied each time; walk refuses them anyway.
            step = key[: MAX_NAME + 1] if isinstance(key, str) else show(key)
            yield (f"{place}.{step}" if place else step), child
    elif isinstance(value, tuple | list):
        for index, child in enumerate(value):
            yield f"{place}[{index}]", child
    elif isinstance(value, Node):
        # What only holds the parts of an object adds no name, as in the keys of a state_dict.
        if (typed_list := value.typed_list) is not None:
            yield place, typed_list
        for attributes in (value.state, _graph_module_attributes(value)):
            if isinstance(attributes, dict):
                yield place, attributes.get("_modules")
                yield place, attributes
        yield place, value.state
        yield place, value.items
        yield place, value.args


def _graph_module_attributes(value: Node) -> object:
    if value.path in _GRAPH_MODULES and isinstance(value.args, tuple) and value.args:
        return value.args[0]
    return None
