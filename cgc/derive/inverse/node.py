"""What the sorts of nodes hand back, and what is returned."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.derive.derivation import Step


@dataclass(frozen=True)
class Inverse:
    """A node whose expectation is a given activation.

    ``kind`` says what sort of node it is: linear, deterministic, binary, threshold, rectified, two_slopes, gate or exponential.
    ``family`` are its fields as a spec holds them, ``block`` the same as one line of YAML. ``steps`` are the conditions that were
    tested, and that they hold; ``notes`` say what else has this expectation.
    """

    kind: str
    block: str
    family: dict[str, object]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A node that should have the expectation: ``families`` in the order of preference, all with that same expectation."""

    kind: str
    families: tuple[dict[str, object], ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


class NoNode(Exception):
    """Why there is no node of one sort. ``exists`` says that there is one all the same, which no family expresses."""

    def __init__(self, reason: str, exists: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.exists = reason, exists
