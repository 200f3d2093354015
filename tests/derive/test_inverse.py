"""Which node has a given expectation: what is found has it, by quadrature of its density; what is refused says which condition fails.

The oracle knows nothing of the compiler: it reads the family that was found and integrates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import CodeType
from typing import Any

import mpmath
import pytest
import sympy
import yaml
from mpmath import mp

from cgc.derive.derivation import Refusal
from cgc.derive.inverse import Inverse, invert
from cgc.derive.inverse.numbers import number_of
from cgc.derive.inverse.spelling import as_flow, spelling_of
from cgc.families.forms import E, Y
from cgc.families.registry import registry
from cgc.formula.parse import parse
from cgc.formula.primitives import GumbelRamp

ENERGIES = ("-6.3", "-1.7", "-0.21", "0.4", "1.3", "7.1")

WORDS: dict[str, Any] = {
    "abs": abs, "max": max, "min": min, "sqrt": mpmath.sqrt, "exp": mpmath.exp, "expm1": mpmath.expm1, "log": mpmath.log, "erf": mpmath.erf,
    "tanh": mpmath.tanh, "sin": mpmath.sin, "cos": mpmath.cos, "sign": mpmath.sign, "pi": mpmath.pi,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "normal_cdf": mpmath.ncdf, "normal_pdf": mpmath.npdf, "Piecewise": lambda *cases: next(v for v, c in cases if c),
}  # fmt: skip

# densities of the standard noises, and where they bend or end
NOISES: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "normal": (mpmath.npdf, [-12, -6, -3, 0, 3, 6, 12]),
    "logistic": (lambda n: mpmath.sech(n / 2) ** 2 / 4, [-60, -25, -10, -4, 0, 4, 10, 25, 60]),
    "laplace": (lambda n: mpmath.exp(-abs(n)) / 2, [-60, -25, -10, -4, 0, 4, 10, 25, 60]),
    "uniform": (lambda n: mp.mpf(1) / 2, [-1, 1]),
    "gumbel": (lambda n: mpmath.exp(-n - mpmath.exp(-n)), [-4, -2, 0, 2, 6, 15, 30, 60]),
    "exponential": (lambda n: mpmath.exp(-n), [0, 1, 4, 10, 25, 60]),
}


@cache
def compiled(formula: str) -> CodeType:
    return compile(formula, "formula", "eval")


def compute(formula: object, **at: Any) -> Any:
    """The value of a formula of this file, or of one that the inverse wrote, in mpmath."""
    return mp.mpf(eval(compiled(str(formula)), {**WORDS, **at}))


def activation(written: str) -> Any:
    return parse(written, {"e": E})


def break_point(value: Callable[[Any], Any]) -> Any:
    """Where a function of two linear pieces leaves its left one."""
    low, high = mp.mpf(-1000), mp.mpf(1000)
    start, slope = value(low), value(low) - value(low - 1)
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if abs(value(middle) - start - slope * (middle + 1000)) < mp.mpf(10) ** -14 else (low, middle)
    return low


def noisy_mean(family: dict[str, object], e: Any) -> Any:
    """E value(e + scale·n) by quadrature, split where the value bends."""
    scale = compute(family["scale"])
    if scale == 0:
        return compute(family["value"], y=e)
    density, ends = NOISES[str(family["base"])]
    edges = [mp.mpf(end) for end in ends]
    if "exp" not in str(family["value"]):
        corner = (break_point(lambda y: compute(family["value"], y=y)) - e) / scale
        edges += [corner] if edges[0] < corner < edges[-1] else []
    return mpmath.quad(lambda n: compute(family["value"], y=e + scale * n) * density(n), sorted(edges))


def mean(family: dict[str, object], e: Any) -> Any:
    """The expectation of a family, by its definition."""
    match family["kind"]:
        case "binary":
            assert isinstance(family["values"], list)
            states = [compute(state) for state in family["values"]]
            weights = [mpmath.exp(e * x) for x in states]
            return mpmath.fsum(w * x for w, x in zip(weights, states, strict=True)) / mpmath.fsum(weights)
        case "gated":
            return compute(family["value"], e=e) * compute(family["prob"], e=e)
        case "gaussian":
            return e
        case "density":
            size = mpmath.exp(mpmath.log(-1 / compute(family["log_density"], e=e, x=mp.one)))
            edges = [size * k for k in (0, 1, 4, 12, 30, 60)]
            weight = [mpmath.quad(lambda x, p=p: x**p * mpmath.exp(compute(family["log_density"], e=e, x=x)), edges) for p in (0, 1)]
            return weight[1] / weight[0]
        case _:
            return noisy_mean(family, e)


def confirm(found: Inverse, wanted: Callable[[Any], Any]) -> None:
    """The block says what the family says, and the family has the expectation."""
    assert yaml.safe_load(found.block) == found.family
    registry()[str(found.family["kind"])].model_validate(found.family, context={"params": {}})
    assert found.steps[0].reason == "the activation" and found.steps[-1].reason.startswith("check: ")
    with mp.workdps(20):
        for written in ENERGIES:
            e = mp.mpf(written)
            assert abs(mean(found.family, e) - wanted(e)) <= mp.mpf(10) ** -11 * (1 + abs(wanted(e))), (found.block, written)


NOISY = "{{kind: noise, base: {}, scale: {}, value: {}}}".format

FOUND = [
    ("e", "{kind: gaussian, std: 1}"),
    ("2*e - 3", NOISY("normal", 1, "'2*y - 3'")),
    ("softplus(e) - softplus(-e)", "{kind: gaussian, std: 1}"),
    # no noise
    ("max(0, e)", NOISY("normal", 0, "'max(0, y)'")),
    ("(e + abs(e))/2", NOISY("normal", 0, "'max(0, y)'")),
    ("max(0.1*e, e)", NOISY("normal", 0, "'max(0.1*y, y)'")),
    ("abs(e - 1)", NOISY("normal", 0, "'abs(y - 1)'")),
    ("max(0, e - 1) + min(0, e + 1)", NOISY("normal", 0, "'max(0, y - 1) + min(0, y + 1)'")),
    ("Piecewise((1, e > 0), (0, True))", NOISY("normal", 0, "'Piecewise((1, y > 0), (0, True))'")),
    # two states
    ("sigmoid(e)", "{kind: binary, values: [0, 1]}"),
    ("1/(1 + exp(-e))", "{kind: binary, values: [0, 1]}"),
    ("tanh(e)", "{kind: binary, values: [-1, 1]}"),
    ("3*sigmoid(3*e) - 1", "{kind: binary, values: [-1, 2]}"),
    ("tanh(e/4)/4", "{kind: binary, values: ['-1/4', '1/4']}"),
    # thresholds
    ("sigmoid(-e)", NOISY("logistic", 1, "'Piecewise((0, y > 0), (1, True))'")),
    ("3*sigmoid(e) - 1", NOISY("logistic", 1, "'Piecewise((2, y > 0), (-1, True))'")),
    ("sigmoid(20*e - 30)", NOISY("logistic", "'0.05'", "'Piecewise((1, y > 3/2), (0, True))'")),
    ("pi*tanh(3*e/2 + 0.3)", NOISY("logistic", "'1/3'", "'Piecewise((pi, y > -1/5), (-pi, True))'")),
    ("normal_cdf(e)", NOISY("normal", 1, "'Piecewise((1, y > 0), (0, True))'")),
    ("erf(e)", NOISY("normal", "'sqrt(2)/2'", "'Piecewise((1, y > 0), (-1, True))'")),
    ("normal_cdf(pi*e - 1)", NOISY("normal", "'1/pi'", "'Piecewise((1, y > 1/pi), (0, True))'")),
    ("Piecewise((exp(e)/2, e < 0), (1 - exp(-e)/2, True))", NOISY("laplace", 1, "'Piecewise((1, y > 0), (0, True))'")),
    ("max(-1, min(1, e))", NOISY("uniform", 1, "'Piecewise((1, y > 0), (-1, True))'")),
    ("max(0, min(6, e))", NOISY("uniform", 3, "'Piecewise((6, y > 3), (0, True))'")),
    ("1 - exp(-exp(e - 2))", NOISY("gumbel", 1, "'Piecewise((1, y > 2), (0, True))'")),
    ("2*exp(min(0, 2*e - 1)) - 1", NOISY("exponential", "'1/2'", "'Piecewise((1, y > 1/2), (-1, True))'")),
    # thresholds under a noise that is no base: their probability as it is
    ("exp(-exp(-e))", "{kind: gated, value: 1, prob: 'exp(-exp(-e))'}"),
    ("1 + e/(1 + abs(e))", "{kind: gated, value: 2, prob: 'e/(2*(abs(e) + 1)) + 1/2'}"),
    # corners
    ("softplus(e)", NOISY("logistic", 1, "'max(0, y)'")),
    ("softplus(2*e)/2", NOISY("logistic", "'1/2'", "'max(0, y)'")),
    ("log(1 + exp(e - 1))", NOISY("logistic", 1, "'max(0, y - 1)'")),
    ("softplus(e - 1)", NOISY("logistic", 1, "'max(0, y - 1)'")),
    ("0.1*e + 0.9*softplus(e)", NOISY("logistic", 1, "'max(0.1*y, y)'")),
    ("3*e/10 - softplus(2*e - 3) + log(2)", NOISY("logistic", "'1/2'", "'min(-1.7*y + log(2) + 3, 0.3*y + log(2))'")),
    ("e*normal_cdf(e) + normal_pdf(e)", NOISY("normal", 1, "'max(0, y)'")),
    ("e*erf(e) + exp(-e**2)/sqrt(pi)", NOISY("normal", "'sqrt(2)/2'", "'max(-y, y)'")),
    ("max(0, e) + exp(-abs(e)/3)*3/2", NOISY("laplace", 3, "'max(0, y)'")),
    ("Piecewise((0, e < -1), ((e + 1)**2/4, e < 1), (e, True))", NOISY("uniform", 1, "'max(0, y)'")),
    ("Piecewise((e, e > 0), (exp(e) - 1, True))", NOISY("exponential", 1, "'max(-1, y - 1)'")),
    # gates
    ("e*normal_cdf(e)", "{kind: gated, value: e, prob: 'normal_cdf(e)'}"),
    ("0.5*e*(1 + erf(e/sqrt(2)))", "{kind: gated, value: e, prob: 'erf(sqrt(2)*e/2)/2 + 1/2'}"),
    ("e*sigmoid(1.702*e)", "{kind: gated, value: e, prob: 'sigmoid(1.702*e)'}"),
    ("-2*e*sigmoid(e)", "{kind: gated, value: '-2*e', prob: 'sigmoid(e)'}"),
    ("e*tanh(softplus(e))", "{kind: gated, value: e, prob: 'tanh(softplus(e))'}"),
    ("e*min(max(e + 3, 0), 6)/6", "{kind: gated, value: e, prob: 'min(6, max(0, e + 3))/6'}"),
    ("e - e*sigmoid(-e)", "{kind: gated, value: e, prob: '1 - sigmoid(-e)'}"),
    ("e/(1 + abs(e))", "{kind: gated, value: e, prob: '1/(abs(e) + 1)'}"),
    # scales
    ("exp(e)", "{kind: density, support: nonnegative, log_density: '-x*exp(-e)', feature: x}"),
    ("3 - exp(-e/2)", NOISY("normal", 2, "'3 - exp(-y/2 - 1/2)'")),
]


@pytest.mark.every_other
@pytest.mark.parametrize(("written", "block"), FOUND, ids=[written for written, _ in FOUND])
def test_the_node_that_is_found_has_the_expectation(written: str, block: str) -> None:
    found = invert(activation(written))
    assert found.block == block
    confirm(found, lambda e: compute(written, e=e))


def test_a_rectified_gumbel() -> None:
    """Its expectation, an exponential integral, has no word in specs; it is asymmetric, and its own reflection is refused."""
    found = invert(GumbelRamp(2 * E - 1) - 3)
    assert found.block == NOISY("gumbel", "'1/2'", "'max(-3, 2*y - 4)'")

    def integral(e: Any) -> Any:
        z = 2 * e - 1
        return mpmath.log(mpmath.exp(z)) + mp.euler + mpmath.e1(mpmath.exp(z)) - 3

    confirm(found, integral)
    with pytest.raises(Refusal) as refusal:
        invert(E + GumbelRamp(-E))
    assert "a rectified node with the noise -n, n a gumbel noise; no base noise is that" in refusal.value.why


FALLS = ": not a distribution function"
NO_BASE = "; no base noise is that"
REFUSED = [
    ("cos(e)", "threshold node: it has no limit at minus infinity: it is 0.76", "gate: at e = 0 it is 1, not 0"),
    ("e**2", "of its derivative, it grows without bound towards minus infinity", "gate: a(e)/e is -10000 at e = -10000 but"),
    ("e**3", "gate: a(e)/e is 1e+08 at e = -10000: not in proportion to a probability", "threshold node: it grows without bound"),
    ("exp(-e**2)", "threshold node: its limits at both ends are 0", "its derivative has the same limit at both ends, 0"),
    ("log(1 + e**2)", "threshold node: it grows without bound towards minus infinity", "gate: a(e)/e is -0.80474 at e = -1.9803"),
    ("e*sigmoid(e) + 2", f"the derivative is -0.099839 at e = -2.3994, outside its limits 0 and 1{FALLS}", "gate: at e = 0"),
    ("3 + e/(1 + abs(e))", "noise has density g(y) = {1/(2*(y - 1)^2) if y < 0; 1/(2*(y + 1)^2)", NO_BASE),
    ("(e + sqrt(e**2 + 4))/2", f"a rectified node whose noise has density g(y) = 2/(y^2 + 4)^(3/2){NO_BASE}", "at e = 0"),
    ("sqrt(1 + e**2)", f"a two-slope node whose noise has density g(y) = 1/(2*(y^2 + 1)^(3/2)){NO_BASE}", "at e = 0 it is 1"),
    ("softplus(e) + softplus(e - 3)", "a two-slope node whose noise has density", "less its limit 0, its logarithm has the slope"),
    ("Piecewise((e, e > 0), (expm1(e)/2, True))", f"otherwise}} and an atom of 0.5 at y = 0{NO_BASE}", "its formula has no value"),
    ("Piecewise((e, e > 0), (1.7*expm1(e), True))", "the derivative is 1.7 at e = 0 from below, outside its limits 0 and 1", FALLS),
    ("tanh(e) + 0.01*exp(-1000*(e - 37)**2)", "it falls from 1.01 at e = 37 to 1 at e = ", FALLS),
    ("sin(e)*exp(-abs(e)) - sigmoid(e)", "threshold node: it rises from ", "exponential node: it crosses its limit -1"),
    ("max(0, e)**2", "node without noise: it is not piecewise linear", "its slope is 0 at e = -10000 and 20000 at e = 10000"),
    ("sqrt(abs(e))", "its slope is -5e+09 at e = 0 from below and 5e+09 at e = 0 from above", "gate: a(e)/e"),
]


@pytest.mark.parametrize(("written", "first", "second"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_refusal_says_for_every_node_what_fails(written: str, first: str, second: str) -> None:
    with pytest.raises(Refusal) as refusal:
        invert(activation(written))
    error = refusal.value
    assert error.code == "CG513" and str(error).startswith("no node with noise has the expectation `")
    assert first in error.why and second in error.why
    for sort in ("linear node: ", "node without noise: ", "threshold node: ", "rectified node: ", "gate: ", "exponential node: "):
        assert error.why.count(sort) == 1, sort
    # the way out that is offered is one
    family = yaml.safe_load(error.help.partition(": ")[2])
    assert compute(family["value"], y=mp.mpf("0.3")) == pytest.approx(compute(written, e=mp.mpf("0.3")))


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("3", "it does not depend on the energy e"),
        ("log(e)", "at e = 0 it is no real number"),
        ("1/(e - 5)", "at e = 5 it is no real number"),
        ("sqrt(e)", "at e = -10000 it is no real number"),
        ("erf(e)/e", "at e = 0 it is no real number"),
    ],
)
def test_what_is_no_number_somewhere_is_no_activation(written: str, why: str) -> None:
    with pytest.raises(Refusal) as refusal:
        invert(activation(written))
    assert refusal.value.code == "CG513" and "is no activation" in str(refusal.value)
    assert why in refusal.value.why


def test_steps_say_what_was_tested() -> None:
    reasons = [step.reason for step in invert(activation("0.1*e + 0.9*softplus(e)")).steps]
    for said in ("limits of its derivative", "never turns back at", "of -noise", "at 61 places to 28 digits", "asymptote"):
        assert any(said in reason for reason in reasons), said
    gate = invert(activation("e*exp(-e**2)"))
    assert any("p is a probability at" in step.reason for step in gate.steps)
    assert "extremes of p: 0 at" in gate.steps[2].text


def test_other_nodes_with_the_same_expectation_are_notes() -> None:
    assert "{kind: noise, base: normal, scale: 0, value: 'max(-1, min(1, y))'}" in invert(activation("max(-1, min(1, e))")).notes[0]
    assert "the noise -n, n an exponential noise" in invert(activation("1 - exp(-max(0, e))")).notes[0]
    note = invert(activation("e/(1 + abs(e))")).notes[0]
    assert note.startswith("The node exists: a threshold node whose noise has density g(y) = {1/(2*(y - 1)^2)")


@pytest.mark.parametrize(
    "written",
    ["1/3", "0.044715", "37.5", "sqrt(2/3)", "pi/7", "2/pi", "sqrt(2/pi)", "sqrt(pi)/3", "pi*sqrt(3)/2", "log(2)", "exp(3/7)", "-sqrt(5)"],
)
def test_numbers_are_recognised(written: str) -> None:
    exact = parse(written, {})
    with mp.workdps(60):
        found = number_of(mp.mpf(sympy.N(exact, 60)))
    assert sympy.N(found - exact, 40) == 0
    assert parse(spelling_of(found) or "", {}) == found


def test_numbers_that_nobody_writes_have_17_digits() -> None:
    with mp.workdps(60):
        assert number_of(mpmath.zeta(3)) == sympy.Rational("1.2020569031595943")
        assert number_of(mp.mpf(10) ** -40) == 0


@pytest.mark.parametrize(
    "written",
    [
        "max(0.1*y, y - 1.25)",
        "Piecewise((y, y > 0 and y < 3), (exp(y) - 1, y < -2 or y > 5), (0, True))",
        "-sqrt(y**2 + 1)/(2*abs(y) + 1)**3 - 1/y",
        "exp(1)*log(2 + y**2) - pi*sign(y) + abs(y)**(3/2)",
        "tanh(softplus(y)) + normal_cdf(y)*normal_pdf(y) - erf(sqrt(2)*y) + expm1(y)",
    ],
)
def test_formulas_are_spelled_as_they_are_read(written: str) -> None:
    formula = parse(written, {"y": Y})
    spelled = spelling_of(formula)
    assert spelled is not None
    with mp.workdps(30):
        for y in ("-3.3", "-0.7", "0.2", "2.9", "7.7"):
            assert abs(compute(spelled, y=mp.mpf(y)) - compute(written, y=mp.mpf(y))) < 1e-12


def test_what_has_no_word_is_not_spelled() -> None:
    assert spelling_of(GumbelRamp(Y)) is None
    assert as_flow({"kind": "gated", "value": "e", "prob": "sigmoid(e)"}) == "{kind: gated, value: e, prob: 'sigmoid(e)'}"
