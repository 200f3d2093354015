"""Route 2: labels with indicator features. Expectation as the derivative of the log-partition."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Function, IndexedBase, KroneckerDelta, Sum

from cgc.derive.derivation import Labels, Step
from cgc.derive.routes import Moment, Route, step
from cgc.families.forms import Indicators
from cgc.formula.scalar import Op, Var, const
from cgc.formula.text import latex, text
from cgc.source.diagnostics import InternalCompilerError

_ONE = const(1)


class Softmax(Function):  # type: ignore[misc]
    """exp(e_k) / Σ_j exp(e_j), computed without overflow."""


class LogSoftmax(Function):  # type: ignore[misc]
    """e_k - log Σ_j exp(e_j), computed without overflow."""


def derive_labels(law: Indicators) -> Route:
    """q_k = ∂ log Z / ∂ e_k, for a label k that stands for any."""
    energies, j = IndexedBase("e"), sympy.Symbol("j", integer=True)
    k = sympy.Symbol("k", integer=True)
    weight = sympy.exp(energies[j])
    log_partition = sympy.log(Sum(weight, (j, 0, law.labels - 1)))
    gradient = _pick(sympy.diff(log_partition, energies[k]), j, k)
    steps = [
        step("density on labels, features are their indicators", sympy.exp(energies[k]), "section 3", "p(k | e)·Z(e)"),
        step("log-partition", log_partition, "eq. 2", "log Z(e)"),
        step("expectation of an indicator: the log-partition's derivative", gradient, "eq. 9", "E[1[X = k] | e]"),
    ]
    if law.reference_label is not None:
        steps.insert(
            1, step(f"label {law.reference_label} is the reference: its energy is fixed", sympy.Integer(0), "", f"e[{law.reference_label}]")
        )
    stable = _normalised_exponential(gradient, energies, j, k)
    steps.append(step("rewrite: a normalised exponential, in a form that cannot overflow", stable, "section 3", "E[1[X = k] | e]"))
    covariance = stable * (KroneckerDelta(j, k) - Softmax(energies[j]))
    steps.append(step("covariance: the log-partition's second derivative", covariance, "", "Cov[1[X = k], 1[X = j] | e]"))
    log_likelihood = LogSoftmax(energies[k])
    steps.append(step("log-likelihood: the logarithm of that", log_likelihood, "eq. 2", "log p(k | e)"))
    drawn = "label k with probability E[1[X = k] | e]"
    steps.append(Step("sampling rule", drawn, r"\arg\max_k (e_k + g_k), g_k \sim \operatorname{Gumbel}"))
    fixed = "" if law.reference_label is None else f", e[{law.reference_label}] = 0"
    p = Op("softmax", (Var("e"),))
    variance = stable * (1 - stable)
    # the vector primitives stand for all labels at once
    return Route(
        f"p(k | e) ∝ exp(e[k]), k = 0 … {law.labels - 1}{fixed}", tuple(steps), Moment(text(stable), latex(stable), (p,), None),
        Moment(text(variance), latex(variance), (Op("mul", (p, Op("sub", (_ONE, p)))),), None), Labels(law.labels), drawn,
        Op("log_softmax", (Var("e"),)), text(log_likelihood),
    )  # fmt: skip


def _pick(derivative: Any, j: Any, k: Any) -> Any:
    """Sum_j δ_jk f(j) = f(k)."""

    def collapse(total: Any) -> Any:
        deltas = sorted(total.function.atoms(KroneckerDelta), key=sympy.default_sort_key)
        return (total.function / deltas[0]).subs(j, k) if deltas else total

    return derivative.replace(lambda node: isinstance(node, Sum), collapse)


def _normalised_exponential(expression: Any, energies: Any, j: Any, k: Any) -> Any:
    """The rewrite exp(e_k) / Σ_j exp(e_j) = softmax(e)_k."""
    (total,) = sorted(expression.atoms(Sum), key=sympy.default_sort_key)
    if total.function.subs(j, k) / total != expression:
        raise InternalCompilerError("derive", f"{expression} is not a normalised exponential")
    return Softmax(energies[k])
