"""What ``train.py`` must find in the files of ``npz`` data: one array for each input and output, under its name."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.emit.data_sets import inputs, targets
from cgc.families.forms import FiniteExponential, Indicators
from cgc.spec.model import Component, Spec


@dataclass(frozen=True)
class Array:
    """The array ``name``, a variable called ``variable``.

    ``shape`` holds the sizes of its axes as Python expressions, over ``n`` examples and ``steps``; the first array says how many of these
    there are. ``ok`` is the condition that its values must meet, ``values`` the same in words; it may speak of ``states``, a list of
    numbers. ``labels`` are whole numbers, one a node.
    """

    name: str
    variable: str
    shape: tuple[str, ...]
    labels: bool
    ok: str
    values: str
    states: tuple[str, ...] = ()


def arrays(spec: Spec, variables: tuple[str, ...]) -> tuple[Array, ...]:
    """The arrays in the order in which a model's ``loss`` takes them: inputs, outputs."""
    components = (*inputs(spec), *targets(spec))
    return tuple(_array(spec, component, name, not k) for k, (component, name) in enumerate(zip(components, variables, strict=True)))


def _array(spec: Spec, component: Component, a: str, first: bool) -> Array:
    law = spec.family(component.family).law
    free = ("n", "steps") if spec.steps is not None and component.at == "all" else ("n",)
    nodes = () if isinstance(law, Indicators) and component.size == 1 else tuple(str(extent) for extent in component.nodes)
    shape = (*(["None"] * len(free) if first else free), *nodes)
    labels = isinstance(law, Indicators)
    match law:
        case Indicators():
            ok, values = f"(({a} >= 0) & ({a} < {law.labels})).all()", f"labels from 0 to {law.labels - 1}"
        case FiniteExponential() if component.clamp == "soft":
            low, high = min(map(float, law.support)), max(map(float, law.support))
            ok, values = f"(({a} >= {low!r}) & ({a} <= {high!r})).all()", f"numbers from {low:g} to {high:g}"
        case FiniteExponential():
            # compared as the model does it
            states = tuple(repr(float(state)) for state in law.support)
            return Array(component.name, a, shape, False, f"torch.isin({a}, {a}.new_tensor(states)).all()", "states of the node", states)
        case _:
            ok, values = f"{a}.isfinite().all()", "finite numbers"
    return Array(component.name, a, shape, labels, ok, values)
