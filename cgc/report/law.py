"""One derivation as text: density, expectation, variance, derivative, sampling rule, likelihood, check; and every step."""

from __future__ import annotations

from cgc.derive.closest import Fit, Rank
from cgc.derive.derivation import Derivation
from cgc.derive.inverse import Inverse
from cgc.report.text import expectation_lines, row, step_lines


def law_text(name: str, law: Derivation, steps: bool = True, latex: bool = False) -> str:
    """Everything about one law; ``steps`` adds the derivation, ``latex`` its formulas as LaTeX."""
    feature = "X" if law.statistic is None else "T(X)"
    lines = [name, row("density", law.density), *expectation_lines(law)]
    lines.append(row("variance", f"Var[{feature} | e] = {law.variance_text}"))
    if law.derivative_text:
        lines.append(row("derivative", f"dE/de = {law.derivative_text}"))
    if law.deterministic:
        lines.append(row("sampling", "never: the node is a function of its energy"))
    else:
        lines.append(row("sampling", law.sampling_text))
        carried = "the draw carries the gradient (reparameterisation)" if not law.discrete else "a draw passes no gradient of its own"
        lines.append(row("", carried))
    likelihood = f"log p(x | e) = {law.log_likelihood_text}" if law.log_likelihood is not None else f"none: {law.no_likelihood}"
    lines.append(row("likelihood", likelihood))
    if steps:
        lines += [row("steps", "from density to sampling rule"), *step_lines(law, latex)]
    return "\n".join(lines)


def inverse_text(found: Inverse, steps: bool = True, latex: bool = False) -> str:
    """The node that an activation leads to."""
    lines = [f"{found.kind} node", row("family", found.block)]
    lines += [row("note", note) for note in found.notes]
    if steps:
        lines.append(row("steps", "from activation to node"))
        for number, step in enumerate(found.steps, 1):
            lines += [f"    {number:>2}. {step.reason}", f"        {step.latex if latex else step.text}"]
    return "\n".join(lines)


def ranking_text(ranks: tuple[Rank, ...]) -> str:
    """Known activations by their largest error."""
    lines = [row("closest", "known activations by their largest absolute error over all energies")]
    for rank in ranks:
        if rank.approximation is None:
            lines.append(f"    {rank.name:<14}{'unbounded':<12}{rank.reason}")
        else:
            lines.append(f"    {rank.name:<14}{rank.approximation.max_error:<12.6g}at {rank.approximation.where}")
    return "\n".join(lines)


def fit_text(found: Fit) -> str:
    """A fitted parameter with the points at which the error is largest."""
    places = ", ".join(f"e = {at:.12g} ({'+' if sign > 0 else '-'})" for at, sign in found.at)
    lines = [row("fit", f"{found.field} = {found.value!r} brings {found.to} closest")]
    lines += [row("", f"largest error {found.max_error:.12g}, at {places}"), *(row("", step) for step in found.steps)]
    return "\n".join(lines)
