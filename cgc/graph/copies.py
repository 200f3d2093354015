"""Names of copies: from a component's whole name and the number of each stack or level around it to the name of a part, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from cgc.spec.model import Component, Copies, Edge, Spec

Chosen = Mapping[str, int]
"""Which copy, by the owner of the copies."""


def choices(copies: Sequence[Copies]) -> Iterator[dict[str, int]]:
    """Every copy, the outermost number first."""
    for numbers in product(*(range(c.times) for c in copies)):
        yield dict(zip((c.owner for c in copies), numbers, strict=True))


def part_name(name: str, chosen: Chosen) -> str:
    """``cell.i`` in copy 0 of ``cell`` is ``cell.0.i``."""
    words: list[str] = []
    path = ""
    for word in name.split("."):
        path = f"{path}.{word}" if path else word
        words += [word, str(chosen[path])] if path in chosen else [word]
    return ".".join(words)


def place(copies: Sequence[Copies], chosen: Chosen) -> dict[str, int]:
    """Which of the ``copies`` is meant from inside the copies ``chosen``: the same where they share an owner, else the last."""
    return {c.owner: chosen.get(c.owner, c.times - 1) for c in copies}


def parent_of(spec: Spec, child: Component, chosen: Chosen, edge: Edge) -> tuple[str, Component]:
    """The part that a copy of ``child`` reads by ``edge``, and its component.

    In a stack, the output of the copy below takes the place of the stack's input.
    """
    parent = edge.parent
    for copies in reversed(child.copies):
        if (parent, edge.numbers) == (copies.input, copies.numbers) and chosen[copies.owner] > 0:
            source = spec.component(copies.output)
            below = {**chosen, copies.owner: chosen[copies.owner] - 1}
            return part_name(source.name, place(source.copies, below)), source
    for refinement in spec.refinements:
        if parent == f"{refinement.base}.refine":
            base = spec.component(refinement.base)
            levels = (*base.copies, Copies(parent, refinement.times))
            return part_name(parent, place(levels, chosen)), base
    source = spec.component(parent)
    return part_name(source.name, place(source.copies, {**chosen, **dict(edge.numbers)})), source
