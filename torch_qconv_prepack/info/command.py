"""`python -m torch_qconv_prepack info`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import Any

from . import collect

HELP = "print versions, CPU, threads, engines and settings, as a bug report needs them"

Rows = Iterable[tuple[str, str]]

_SOURCES = {"context": "a qconv.engine() block", "package": "the package's default"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON (keys: docs/engines.md)")


def execute(options: argparse.Namespace) -> int:
    """Print what there is to tell; return 0."""
    facts = collect()
    print(json.dumps(facts, indent=2) if options.json else as_text(facts))
    return 0


def as_text(facts: dict[str, Any]) -> str:
    """Return what `collect` returned as sections of aligned lines."""
    return "\n\n".join(_section(title, rows) for title, rows in _sections(facts))


def _sections(facts: dict[str, Any]) -> Iterator[tuple[str, Rows]]:
    built_with = {**facts["built_with"], "onednn": facts["built_with"]["onednn"] or "none"}
    built_with["cxx11_abi"] = "yes" if built_with["cxx11_abi"] else "no"
    machine = dict(facts["machine"])
    features = machine.pop("cpu_features")
    default = facts["default_engine"]
    source = _SOURCES.get(default["source"], default["source"])
    yield "versions", _rows(facts["versions"])
    yield "built with", _rows(built_with)
    yield (
        "machine",
        [
            *_rows(machine),
            ("has", " ".join(name for name, found in features.items() if found) or "none"),
            ("lacks", " ".join(name for name, found in features.items() if not found) or "none"),
        ],
    )
    yield "threads", _rows(facts["threads"])
    yield "engines", [_engine_row(engine) for engine in facts["engines"]]
    yield "default engine", [(default["name"], f"from {source}")]
    yield "environment", _rows(facts["environment"], missing="not set")


def _engine_row(engine: dict[str, Any]) -> tuple[str, str]:
    if engine["kind"] == "policy":
        return (engine["name"], "policy")
    if not engine["available"]:
        return (engine["name"], f"not available: {engine['reason']}")
    uses = engine["instruction_set"]
    return (engine["name"], ", ".join(filter(None, [engine["version"], uses and f"uses {uses}"])))


def _rows(values: dict[str, Any], missing: str = "unknown") -> Rows:
    return [(name, missing if value is None else str(value)) for name, value in values.items()]


def _section(title: str, rows: Rows) -> str:
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:{width}}  {value}" for name, value in rows)])
