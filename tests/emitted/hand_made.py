"""Resolved specs made by hand, for tests of what follows from ``train``."""

from __future__ import annotations

from typing import Any

import sympy

from cgc.families.forms import FiniteExponential, Indicators, Law, Noise
from cgc.source.text import Source, Span
from cgc.spec.model import Component, Data, Family, Inference, Optimizer, Spec, Train

PLACE = Span(Source("specs/example.yaml", "cgc: 1\n"), 1, 1)

LAWS: dict[str, Law] = {
    "pixel": FiniteExponential((sympy.Integer(0), sympy.Integer(1))),
    "spin": FiniteExponential((sympy.Integer(-1), sympy.Integer(1))),
    "level": FiniteExponential(tuple(sympy.Rational(k, 16) for k in range(17))),
    "digit": FiniteExponential(tuple(sympy.Integer(k) for k in range(10))),
    "labels": Indicators(10),
    "nine": Indicators(9),
    "real": Noise("normal", sympy.Integer(1)),
}


def component(name: str, role: Any, nodes: tuple[int, ...], family: str, **rest: Any) -> Component:
    """A component without parents."""
    return Component(name, role, nodes, family, PLACE, **rest)


def make_spec(
    *,
    train: Train | None = None,
    input: Component | None = None,
    output: Component | None = None,
    steps: int | None = None,
    more: tuple[Component, ...] = (),
) -> Spec:
    """A spec of an input x, by default 64 softly clamped pixels, and an output y, by default ten labels."""
    return Spec(
        name="example",
        doc="",
        params=(),
        families=tuple(Family(name, "test", law, None, PLACE) for name, law in LAWS.items()),
        components=(
            input or component("x", "input", (64,), "pixel", clamp="soft"),
            output or component("y", "output", (1,), "labels"),
            *more,
        ),
        steps=steps,
        independence=(),
        train_inference=Inference(),
        eval_inference=Inference(),
        train=train or Train(Data("digits", "vector"), Optimizer("adam", 0.003), epochs=3, batch_size=64),
        files=("specs/example.yaml",),
        resolved="",
        span=PLACE,
    )
