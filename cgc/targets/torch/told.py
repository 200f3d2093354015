"""Numbers in emitted code that a class may be told: the same class then serves layers that differ in them alone.

Until all layers are known such a number is written as a token with a name. Where it is the same for all, it stays a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile("\x01([^\x02]*)\x02([^\x03]*)\x03")
_PRODUCT = re.compile(r"\((\d+) \* (\d+)\)")
# of several names for what is always equal, these say most
_FIRST = ("nodes", "maps", "extents")


def told(name: str, value: object) -> str:
    """A value that a class may be told as ``name``, or one of several names with ``|`` between them."""
    return f"\x01{name}\x02{value}\x03"


def plain(text: str) -> str:
    """The text with the values themselves."""
    return _PRODUCT.sub(lambda found: str(int(found[1]) * int(found[2])), _TOKEN.sub(lambda found: found[2], text))


def skeleton(text: str) -> str:
    """The text with the names alone."""
    return _TOKEN.sub(lambda found: f"\x01{found[1]}\x03", text)


@dataclass(frozen=True)
class Lifted:
    """Lines that several blocks have in common, with ``names`` in place of what differs; ``arguments`` for each block, as tokens again."""

    lines: tuple[str, ...]
    names: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def parameters(self) -> str:
        """The arguments of ``__init__``."""
        kinds = {name: "tuple[int, ...]" if "(" in argument else "int" for name, argument in self._first()}
        return ", ".join(["self", *(f"{name}: {kind}" for name, kind in kinds.items())])

    def _first(self) -> list[tuple[str, str]]:
        values = [found[2] for found in _TOKEN.finditer(self.arguments[0])]
        return list(zip(self.names, values, strict=True))


def lifted(blocks: Sequence[Sequence[str]], reserved: Sequence[str]) -> Lifted:
    """The lines of several blocks that are equal but for told values, as those of one; ``reserved`` cannot be names."""
    found = [[(t[1], t[2]) for line in lines for t in _TOKEN.finditer(line)] for lines in blocks]
    places = list(zip(*found, strict=True))
    # what is equal in every block is told once
    vectors = [tuple(value for _, value in place) for place in places]
    names: dict[tuple[str, ...], str] = {}
    for vector in dict.fromkeys(v for v in vectors if len(set(v)) > 1):
        wanted = list(dict.fromkeys(n for place, v in zip(places, vectors, strict=True) if v == vector for n in place[0][0].split("|")))
        wanted.sort(key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
        taken = {*names.values(), *reserved}
        free = [name for name in wanted if name not in taken] or [wanted[0]]
        while free[0] in taken:
            free[0] += "_"
        names[vector] = free[0]
    place = iter(vectors)

    def shown(match: re.Match[str]) -> str:
        return names.get(next(place), match[2])

    lines = tuple(plain(_TOKEN.sub(shown, line)) for line in blocks[0])
    arguments = (", ".join(told(name, vector[k]) for vector, name in names.items()) for k in range(len(blocks)))
    return Lifted(lines, tuple(names.values()), tuple(arguments))
