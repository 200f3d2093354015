"""The classes that are printed for node laws, in torch: expectation and gradient, likelihood and draws, against mpmath."""

from __future__ import annotations

import itertools
import math
from functools import partial as later
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from laws import derivation, emitted, noise, states

from cgc.derive.derivation import Derivation
from cgc.derive.pieces import pieces
from cgc.derive.scale import drawn_scale
from cgc.families.forms import FiniteExponential, Noise, X, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.scalar import Scalar

PRECISION = {torch.float32: 1e-5, torch.float64: 1e-10}

SMOOTH = {
    "gaussian": later(derivation, "gaussian", std="tanh(e)"),
    "tanh": later(derivation, "binary", values=[-1, 1]),
    "sigmoid": later(derivation, "binary", values=[0, 1]),
    "states": later(states, -1, 0, 2, base_measure="1 + x*x"),
    "constant std": later(derivation, "rectified_gaussian", std="0.7"),
    "wide std": later(derivation, "rectified_gaussian", std="30"),
    "std tanh": later(derivation, "rectified_gaussian", std="tanh(e)"),
    "std sigmoid": later(derivation, "rectified_gaussian", std="sigmoid(e)"),
    "std softplus": later(derivation, "rectified_gaussian", std="softplus(e)"),
    "std_min": later(derivation, "rectified_gaussian", std="tanh(e)", std_min=0.1),
    "leaky": later(derivation, "rectified_gaussian", std="tanh(e)", leak="0.1"),
    "clipped": later(noise, "min(1, max(0, y))", scale="0.5"),
    "clipped with tanh": later(noise, "min(1, max(-1, y))", scale="tanh(e)"),
    "abs": later(noise, "abs(y)"),
    "dead zone": later(noise, "max(0, y - 1) + min(0, y + 1)", scale="0.4"),
    "sign": later(noise, "sign(y)"),
    "threshold": later(noise, "Piecewise((1, y > 0), (0, True))", base="logistic"),
    "rectified logistic": later(noise, "max(0, y)", base="logistic"),
    "rectified logistic, std sigmoid": later(noise, "max(0, y)", base="logistic", scale="sigmoid(e)"),
}


# symmetric nodes: at e = 0 terms of this size cancel each other
CANCELLED = {"states": 1, "clipped with tanh": 1e-2, "dead zone": 1e-3}


def truth(scalar: Scalar, e: float) -> tuple[float, float]:
    """Value and derivative in many digits, the derivative by central differences."""
    with mpmath.workdps(60):
        x = mpmath.mpf(e)
        # one side of 0 where std = |tanh e| has its corner
        h = (abs(x) if x else mpmath.mpf(1)) * mpmath.mpf(10) ** -20
        up, down = value(scalar, e=x + h), value(scalar, e=x - h)
        return float(value(scalar, e=x)), float((up - down) / (2 * h))


def energies(dtype: torch.dtype) -> torch.Tensor:
    side = [1e-30, 1e-12, 1e-5, 0.01, 0.3, 0.7474682886, 0.99, 1.7, 2.5, 4.1, 6.3, 9.0, 14.0, 21.0, 40.0, 90.0, 1e3, 1e4]
    return torch.tensor([-e for e in reversed(side)] + side, dtype=dtype)


@pytest.mark.parametrize("dtype", list(PRECISION), ids=["float32", "float64"])
@pytest.mark.parametrize("name", SMOOTH)
def test_expectation_and_gradient(name: str, dtype: torch.dtype) -> None:
    law = SMOOTH[name]()
    e = energies(dtype).requires_grad_()
    computed = emitted(law).expectation(e)
    (gradient,) = torch.autograd.grad(computed.sum(), e)
    for k, energy in enumerate(e.tolist()):
        wanted, slope = truth(law.expectation, energy)
        scale = abs(wanted) + abs(energy * slope) + CANCELLED.get(name, 0)
        # log weights of size |e| are rounded before they are compared
        scale += abs(energy) * torch.finfo(dtype).eps / PRECISION[dtype] if name == "states" else 0
        assert abs(computed[k].item() - wanted) <= PRECISION[dtype] * scale + 1e-30, (energy, computed[k].item(), wanted)
        error = abs(gradient[k].item() - slope)
        # f and e·f' are of one scale; where f is flat, the gradient has that of f/e
        assert error <= 10 * PRECISION[dtype] * (abs(slope) + scale / max(abs(energy), 1e-3)) + 1e-30, (energy, gradient[k].item(), slope)


@pytest.mark.parametrize("dtype", list(PRECISION), ids=["float32", "float64"])
@pytest.mark.parametrize("name", SMOOTH)
def test_nothing_is_infinite_anywhere(name: str, dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    special = torch.tensor([0.0, -0.0, tiny, -tiny, tiny / 8, -tiny / 8, tiny**0.5, -(tiny**0.5), 1e4, -1e4], dtype=dtype)
    e = torch.cat([special, torch.linspace(-1e4, 1e4, 2001, dtype=dtype), torch.linspace(-30, 30, 2001, dtype=dtype)]).requires_grad_()
    computed = emitted(SMOOTH[name]()).expectation(e)
    (gradient,) = torch.autograd.grad(computed.sum(), e)
    assert torch.isfinite(computed).all() and torch.isfinite(gradient).all(), e[~torch.isfinite(computed * gradient)]


@pytest.mark.every_other
@pytest.mark.parametrize("value_of_y, limit", [("max(0, y + 1)", 1), ("max(0, y + 1)**2", 1), ("min(0, y - 2)**3", -8), ("sign(y + 1)", 1)])
def test_where_the_noise_vanishes_the_node_is_a_function_of_its_energy(value_of_y: str, limit: float) -> None:
    for scale in ("tanh(e)", "e**2", "min(1, max(0, e))"):
        e = torch.tensor([0.0, 1e-30, -1e-30], dtype=torch.float64, requires_grad=True)
        computed = emitted(noise(value_of_y, scale=scale)).expectation(e)
        assert computed.tolist() == pytest.approx([limit] * 3, rel=1e-14)
        (gradient,) = torch.autograd.grad(computed.sum(), e)
        assert torch.isfinite(gradient).all()


# --- likelihoods

SCORED = {
    "binary": (later(derivation, "binary", values=[-3, 7]), (-3, 7)),
    "tilted": (later(states, 0, 1, base_measure="1 + 4*x"), (0, 1)),
    "features": (later(states, 1, 2, statistic="1/x"), (1, 2)),
    "states": (later(states, -1, 0, 2, base_measure="1 + x*x"), (-1, 0, 2)),
    "gaussian": (later(derivation, "gaussian", std="0.5"), ()),
    "gaussian softplus": (later(derivation, "gaussian", std="0.1 + softplus(e)"), ()),
    "tobit": (later(derivation, "rectified_gaussian", std="0.7"), (0,)),
    "tobit tanh": (later(derivation, "rectified_gaussian", std="tanh(e)", std_min="0.1"), (0,)),
    "tobit sigmoid": (later(derivation, "rectified_gaussian", std="sigmoid(e)"), (0,)),
    "leaky": (later(derivation, "rectified_gaussian", std="2", leak="0.1"), ()),
    "two-sided tobit": (later(noise, "min(1, max(0, y))", scale="0.3"), (0, 1)),
    "clipped logistic": (later(noise, "min(2, max(-1, y))", base="logistic"), (-1, 2)),
    "rectified logistic": (later(noise, "max(0, y)", base="logistic", scale="softplus(e)"), (0,)),
    "dead zone": (later(noise, "max(0, y - 1) + min(0, y + 1)", scale="0.4"), (0,)),
    "dead zone, logistic": (later(noise, "max(0, y - 1) + min(0, y + 1)", base="logistic"), (0,)),
    "abs": (later(noise, "abs(y)"), ()),
    "sign": (later(noise, "sign(y)", base="logistic"), (-1, 1)),
    "stairs": (later(noise, "Piecewise((0, y < 0), (1, y < 1), (2, True))"), (0, 1, 2)),
    "jump": (later(noise, "Piecewise((y, y < 0), (y + 3, True))"), ()),
    "folded back": (later(noise, "Piecewise((y, y < 1), (2 - y, y < 3), (y - 4, True))"), ()),
}


def scored(name: str) -> tuple[Derivation, tuple[float, ...]]:
    """A law that is scored, and its atoms."""
    recipe, atoms = SCORED[name]
    return recipe(), atoms


POINTS = [-40.0, -3.0, -0.4, 0.25, 0.5, 0.9, 1.5, 6.0, 45.0]


def log_likelihood(law: Derivation, x: Any, e: Any) -> Any:
    """log p(x | e) from the definition: weights over their sum, or what the noise puts where value(y) = x; no stable forms, many digits."""
    if isinstance(law.law, FiniteExponential):
        form = law.law
        weights = {
            value(freeze(state)): value(freeze(form.base_measure.subs(X, state)))
            * mpmath.exp(e * value(freeze(form.statistic.subs(X, state))))
            for state in form.support
        }
        return mpmath.log(weights[x] / mpmath.fsum(weights.values()))
    assert isinstance(law.law, Noise)
    s = abs(value(freeze(drawn_scale(law.law)), e=e))
    logistic = law.law.base == "logistic"

    def cdf(n: Any) -> Any:
        if mpmath.isinf(n):
            return mpmath.mpf(n > 0)
        return 1 / (1 + mpmath.exp(-n)) if logistic else mpmath.ncdf(n)

    atom = density = mpmath.mpf(0)
    for piece in pieces(law.law.value):
        low, high = (value(freeze(end)) for end in (piece.low, piece.high))
        a, b = (value(freeze(piece.polynomial.coeff(Y, k))) for k in (1, 0))
        if a == 0 and b == x:
            below, above = (low - e) / s, (high - e) / s
            # the difference on the side where both are small
            atom += cdf(above) - cdf(below) if below < 0 else cdf(-below) - cdf(-above)
        elif a and low <= (x - b) / a < high:
            n = ((x - b) / a - e) / s
            density += (cdf(n) * cdf(-n) if logistic else mpmath.npdf(n)) / (s * abs(a))
    total = atom or density
    return mpmath.log(total) if total else -mpmath.inf


@pytest.mark.parametrize("name", SCORED)
def test_likelihoods_in_float32(name: str) -> None:
    """Printed code in float32 against many digits at the same float32 inputs, tails included."""
    law, atoms = scored(name)
    discrete = isinstance(law.law, FiniteExponential) or name in ("sign", "stairs")
    points = torch.tensor([*atoms, *([] if discrete else POINTS)], dtype=torch.float32)
    e = torch.tensor([-30.0, -7.3, -1.1, -0.01, 0.0, 0.6, 3.2, 11.0, 30.0]).requires_grad_()
    grid_x, grid_e = (axis.reshape(-1) for axis in torch.meshgrid(points, e, indexing="ij"))
    computed = emitted(law).log_prob(grid_x, grid_e)
    for x, energy, got in zip(grid_x.tolist(), grid_e.tolist(), computed.tolist(), strict=True):
        with mpmath.workdps(400):
            wanted = float(log_likelihood(law, mpmath.mpf(x), mpmath.mpf(energy)))
        assert got == wanted or abs(got - wanted) <= 1e-6 * max(1, abs(wanted)), (x, energy, got, wanted)
    # beyond, the gradient itself is out of float32
    finite = computed.abs() < 1e20
    (gradient,) = torch.autograd.grad(computed[finite].sum(), e)
    assert torch.isfinite(gradient).all(), gradient


def mass(law: Derivation, atoms: tuple[float, ...], cuts: tuple[float, ...], e: float, spread: float) -> float:
    """Probabilities of the atoms plus the integral of the density between the cuts."""
    assert law.log_likelihood is not None
    node = emitted(law)
    total = sum(
        math.exp(node.log_prob(torch.tensor([float(a)], dtype=torch.float64), torch.tensor([e], dtype=torch.float64))) for a in atoms
    )
    if isinstance(law.law, FiniteExponential):
        return total
    roots, weights = np.polynomial.legendre.leggauss(60)
    ends = sorted({-spread, *np.linspace(-spread, spread, 41), *cuts, spread})
    for low, high in itertools.pairwise(ends):
        x = torch.from_numpy((low + high) / 2 + (high - low) / 2 * roots)
        density = torch.exp(node.log_prob(x, torch.full_like(x, e)))
        total += float((density * torch.from_numpy(weights)).sum() * (high - low) / 2)
    return total


@pytest.mark.parametrize("e", [-1.7, 0.0, 2.3])
@pytest.mark.parametrize("name", SCORED)
def test_distributions_integrate_to_one(name: str, e: float) -> None:
    law, atoms = scored(name)
    assert mass(law, atoms, (-1, 0, 1, 2, 3), e, 60) == pytest.approx(1, abs=1e-9)


def test_what_no_piece_reaches_has_no_density() -> None:
    """Two pieces alike, with a gap between what they reach."""
    law = noise("Piecewise((2*y - 1, y < 2), (3, y < 3), (2*y - 1, True))", base="normal")
    x = torch.tensor([2.5, 3.5, 4.5, 5.5], dtype=torch.float64)
    log_p = emitted(law).log_prob(x, torch.full_like(x, 2.0))
    assert log_p[1] == log_p[2] == -torch.inf and log_p[0].isfinite() and log_p[3].isfinite()


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=4, unique=True),
    st.data(),
    st.sampled_from(["normal", "logistic"]),
    st.sampled_from(["0.8", "max(0.3, tanh(e))", "0.2 + sigmoid(e)", "softplus(e)"]),
    st.floats(-2, 2),
)
def test_random_piecewise_linear_nodes_integrate_to_one(cuts: list[int], data: st.DataObject, base: str, scale: str, e: float) -> None:
    """Slopes of every sign, flat pieces and jumps: atoms may coincide, pieces may overlap."""
    cuts = sorted(cuts)
    lines = [(data.draw(st.integers(-2, 2)), data.draw(st.integers(-3, 3))) for _ in range(len(cuts) + 1)]
    text = "".join(f"({a}*y + {b}, y < {cut}), " for (a, b), cut in zip(lines, cuts, strict=False))
    law = noise(f"Piecewise({text}({lines[-1][0]}*y + {lines[-1][1]}, True))", scale=scale, base=base)
    atoms = tuple(sorted({b for a, b in lines if a == 0}))
    ends = tuple(a * cut + b for a, b in lines for cut in cuts)
    # a narrow density peaks where its piece takes the energy: panels there must be narrow too
    ends += tuple(a * (e + d) + b for a, b in lines for d in (-6, -3, -1.5, -0.75, -0.3, 0, 0.3, 0.75, 1.5, 3, 6))
    # x at which an atom sits has a probability, not a density: no quadrature point is a whole number
    assert mass(law, atoms, ends, e, 260) == pytest.approx(1, abs=1e-8)


# --- draws

DRAWN = {**{name: law for name, (law, _) in SCORED.items()}, **SMOOTH, "labels": later(derivation, "categorical", labels=4)}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_have_the_expectation(name: str) -> None:
    law = DRAWN[name]()
    node, count = emitted(law), 200_000
    torch.manual_seed(7)
    for e in (-0.8, 0.3, 2.0):
        energy = torch.tensor([e, 0.1, -1.0, 0.7], dtype=torch.float64) if name == "labels" else torch.tensor(e, dtype=torch.float64)
        drawn = node.sample(energy.expand(count, *energy.shape)).to(torch.float64)
        expected = node.expectation(energy)
        deviation = drawn.std(0) / math.sqrt(count)
        assert (abs(drawn.mean(0) - expected) <= 5 * deviation + 1e-7 * (1 + abs(expected))).all(), (e, drawn.mean(0), expected)


@pytest.mark.parametrize("name", [name for name, (_, atoms) in SCORED.items() if atoms])
def test_draws_hit_the_atoms_as_often_as_they_are_probable(name: str) -> None:
    law, atoms = scored(name)
    node, count = emitted(law), 200_000
    draw = getattr(node, "draw", node.sample)
    torch.manual_seed(11)
    for e in (-0.4, 0.9):
        energy = torch.full((count,), e, dtype=torch.float64)
        drawn = draw(energy)
        for atom in atoms:
            p = math.exp(node.log_prob(torch.full((1,), float(atom), dtype=torch.float64), energy[:1]))
            hits = int((drawn == atom).sum())
            assert abs(hits - count * p) <= 5 * math.sqrt(count * p * (1 - p)) + 1, (e, atom, hits / count, p)


def test_a_draw_carries_the_gradient_where_it_is_pathwise() -> None:
    law = derivation("rectified_gaussian", std="0.7")
    torch.manual_seed(3)
    e = torch.full((200_000,), 0.3, dtype=torch.float64, requires_grad=True)
    emitted(law).sample(e).sum().backward()
    assert e.grad is not None
    _, slope = truth(law.expectation, 0.3)
    assert e.grad.mean().item() == pytest.approx(slope, abs=5 * e.grad.std().item() / math.sqrt(200_000))
    assert not law.discrete and noise("sign(y)").discrete and noise("y + sign(y)").discrete


@pytest.mark.parametrize("name", ["binary", "tilted", "features", "states"])
def test_the_most_probable_state(name: str) -> None:
    """No state has a higher probability than the mode."""
    law, atoms = scored(name)
    node = emitted(law)
    for e in (-2.0, -0.3, 0.4, 3.0):
        energy = torch.tensor([e], dtype=torch.float64)
        scores = {atom: node.log_prob(torch.tensor([float(atom)], dtype=torch.float64), energy).item() for atom in atoms}
        assert scores[int(node.mode(energy).item())] == max(scores.values())


@pytest.mark.parametrize("bound", ["20", "1000", "1e6", "1e12"])
def test_a_far_bound_costs_no_digits(bound: str) -> None:
    """E min(bound, Y) near 0 is E Y: it must not come out as bound - (bound - e)."""
    law = noise(f"min({bound}, y)", base="logistic")
    for dtype, precision in PRECISION.items():
        e = torch.tensor([-3.0, 0.1, 1.0, 7.0], dtype=dtype)
        computed = emitted(law).expectation(e)
        for energy, got in zip(e.tolist(), computed.tolist(), strict=True):
            wanted, _ = truth(law.expectation, energy)
            assert abs(got - wanted) <= precision * abs(wanted)
