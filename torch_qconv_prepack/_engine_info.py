"""Which engines and policies there are, and which of them can be used here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class EngineInfo:
    """An engine, or a policy that picks one for each convolution; ``print`` it for one line.

    Attributes:
        name: what ``engine=`` and :func:`engine` take.
        available: whether it can be used on this machine; always true for a policy.
        version: the library's version and where it comes from, as ``"inside torch 2.13.0"``; None
            for a policy, and for an engine whose library isn't there.
        reason: why it isn't available; None where it is.
        kind: ``"engine"`` or ``"policy"``.
        instruction_set: the most capable instruction set that the library uses on this machine, in
            its own words; None where it doesn't tell, and for a policy.
    """

    name: str
    available: bool
    version: str | None
    reason: str | None
    kind: Literal["engine", "policy"]
    instruction_set: str | None

    def __str__(self) -> str:
        if self.kind == "policy":
            return f"{self.name}: policy, picks an engine for each convolution"
        if not self.available:
            return f"{self.name}: engine, not available: {self.reason}"
        facts = ["engine", self.version, self.instruction_set and f"uses {self.instruction_set}"]
        return f"{self.name}: {', '.join(fact for fact in facts if fact)}"


def engines() -> list[EngineInfo]:
    """List the engines, then the policies.

    Returns:
        A record of each name that ``engine=`` takes, those that can't be used here included.

    Example (versions and instruction sets are the machine's):
        >>> import torch_qconv_prepack as qconv
        >>> print(qconv.engines()[0])
        native: engine, packed format 1, uses ...
        >>> [record.name for record in qconv.engines() if record.kind == "policy"]
        ['auto', 'x86']
    """
    return [
        EngineInfo(
            name=name,
            available=available,
            version=version or None,
            reason=reason or None,
            kind="policy" if is_policy else "engine",
            instruction_set=instruction_set or None,
        )
        for name, is_policy, available, version, instruction_set, reason in (
            torch.ops.torch_qconv_prepack._engines()
        )
    ]
