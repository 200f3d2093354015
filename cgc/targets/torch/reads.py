"""What a layer reads, as the arguments of its methods: each thing once, named after the first edge from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgc.program.energies import local
from cgc.program.ir import Contribution, Opening

Block = tuple[str, int, int]


@dataclass(frozen=True)
class Read:
    """The features of ``source``, ``lag`` steps before, under ``name``."""

    name: str
    source: str
    lag: int


def reads(contributions: Sequence[Contribution]) -> tuple[Read, ...]:
    """What the contributions read, gates last."""
    found: dict[tuple[str, int], str] = {}
    wanted = [((c.source, c.lag), c.name, c.block) for c in contributions]
    wanted += [((c.gate.source, 0), local(c.gate.source), None) for c in contributions if isinstance(c.gate, Opening)]
    for key, name, block in wanted:
        if key in found:
            continue
        if name in found.values() and block is not None:
            name = f"{block[0]}_{name}"
        while name in found.values():
            name += "_"
        found[key] = name
    return tuple(Read(name, source, lag) for (source, lag), name in found.items())
