"""Energies as people write them: ``W_x x[t] + W_h h[t-1] + b``, and what nodes are then expected to be."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from cgc.derive.derivation import Derivation
from cgc.program.ir import Contribution, Layer, Opening

Names = Callable[[str], str] | None
"""How layers and inputs are called."""

_JOINING = ("dense", "masked", "embedding", "table", "convolution", "local", "grouped", "tied")
"""Products in which a node reads several features."""


def local(name: str) -> str:
    """The last word of a whole name that is no number: ``cell.0.i`` is ``i`` inside."""
    return next(word for word in reversed(name.split(".")) if not word.isdecimal())


def beside(layer: Layer) -> Callable[[str], str]:
    """How a layer or an input is called where ``layer`` is: ``cell.1.f`` is ``f`` for ``cell.1.c``, and ``h.0`` is ``h.0`` for ``h.1``."""
    words = layer.name.split(".")
    while words and words[-1].isdecimal():
        words.pop()
    scope = ".".join(words[:-1])
    return lambda name: name.removeprefix(f"{scope}.") if scope else name


def update_text(layer: Layer, law: Derivation, timed: bool) -> str:
    """What feed-forward makes of a layer: ``c[t] = f[t] * c[t-1] + i[t] * g[t]``, each name standing for an expectation."""
    names = beside(layer)
    own = f"{names(layer.name)}{'' if not timed else '[T]' if layer.last else '[t]'}"
    energy = energy_text(layer, layer.contributions, timed, names)
    if law.approximation is not None:
        return f"{own} = {law.approximation.name}({energy})"
    found = re.fullmatch(r"(\w+)\(e\)", law.expectation_text)
    if found:
        return f"{own} = {found[1]}({energy})"
    return f"{own} = {energy}" if law.expectation_text == "e" else f"{own} = E[X | e = {energy}]"


def normaliser(layer: Layer) -> str:
    """What a normalisation is called."""
    return "BN" if layer.groups is None else "LN" if layer.groups == 1 else "GN"


def energy_text(layer: Layer, contributions: Sequence[Contribution], timed: bool, names: Names = None) -> str:
    """The energy of a layer from its ``contributions``.

    With ``names``, gates are the expectations that they are computed with, and all is called by its own name, not that of the edge.
    """
    several = len(contributions) > 1
    bias = ["b"] if layer.bias is True else [f"{float(layer.bias):g}"] if layer.bias else []
    match layer.normalised:
        case "no":
            return _sum(sum_text(contributions, several, timed, layer.last, names), *bias)
        case "energy":
            return _sum(f"{normaliser(layer)}({sum_text(contributions, several, timed, layer.last, names)})", *bias)
        case _:
            direct = [c for c in contributions if not c.lag]
            late = [c for c in contributions if c.lag]
            text = f"{normaliser(layer)}({sum_text(direct, several, timed, layer.last, names)})"
            return _sum(text, *bias, *([sum_text(late, several, timed, layer.last, names)] if late else []))


def _sum(*terms: str) -> str:
    return " + ".join(terms).replace("+ -", "- ")


def sum_text(contributions: Sequence[Contribution], several: bool, timed: bool, last: bool, names: Names = None) -> str:
    """A sum of contributions; ``several``: weights are told apart by their edges."""
    plain = [_term(c, several, timed, last, names) for c in contributions if c.block is None]
    blocks: dict[str, list[str]] = {}
    for c in contributions:
        if c.block is not None:
            blocks.setdefault(c.block[0], []).append(_term(c, several, timed, last, names))
    parts = [f"[{', '.join(' + '.join(terms) for terms in blocks.values())}]"] if blocks else []
    return _sum(*plain, *parts)


def _term(c: Contribution, several: bool, timed: bool, last: bool, names: Names) -> str:
    letter = "T" if last else "t"
    when = (f"[{letter}-{c.lag}]" if c.lag else f"[{letter}]") if timed else ""
    name = c.name if c.block is None else f"{c.block[0]}_{c.name}"
    weight = f"W_{name}" if several else "W"
    value = f"{'D_' + c.name + ' * ' if c.dropout else ''}{names(c.source) if names else c.name}{when}"
    if isinstance(c.gate, Opening):
        value = f"{_open(c.gate, f'[{letter}]' if timed else '', names)} {value}"
    if c.gate is not None and c.product.kind in _JOINING:  # the gate acts on the features
        value = f"({value})"
    match c.product.kind:
        case "elementwise":
            return f"{c.name}.weight * {value}"
        case "identity":
            return value if c.product.fixed in (None, 1) else f"{c.product.fixed:g} {value}"
        case "convolution":
            return f"{weight} ⋆ {value}"
        case "average":
            return f"mean({value})"
        case _:
            return f"{weight} {value}"


def _open(gate: Opening, when: str, names: Names) -> str:
    """How probable it is that a gate is open; of 0 and 1, the expectation itself or what it lacks to 1."""
    name = f"{names(gate.source) if names else local(gate.source)}{when}"
    if names and gate.label is None and (gate.scale, gate.shift) == (1, 0):
        return f"{name} *"
    if names and gate.label is None and (gate.scale, gate.shift) == (-1, 1):
        return f"(1 - {name}) *"
    return f"P({name} = {_state(gate)})"


def _state(gate: Opening) -> str:
    """The state that opens: where the probability is 1."""
    return str(gate.label) if gate.label is not None else f"{(1 - gate.shift) / gate.scale + 0:g}"
