"""The derivations as stable text."""

from __future__ import annotations

from cgc.derive.stage import Derivations
from cgc.formula.scalar import dump as dump_scalar


def dump(derivations: Derivations) -> str:
    """A few lines per family: expectation, what is computed, likelihood, as typed trees."""
    lines = []
    for name, law in derivations.by_family:
        lines.append(f"family {name}: {law.density}")
        lines.append(f"  expectation {dump_scalar(law.expectation)}")
        if law.approximation is not None:
            near = law.approximation
            lines.append(f"  computed {near.name} {dump_scalar(near.formula)} max_error {near.max_error:.9g} at {near.where}")
        lines.append(f"  sampling {type(law.sampling).__name__}{' discrete' if law.discrete else ''}")
        if law.log_likelihood is not None:
            lines.append(f"  log_likelihood {dump_scalar(law.log_likelihood)}")
    return "\n".join(lines) + "\n"
