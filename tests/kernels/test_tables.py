"""Reductions over tables of many rows, as loops of typed arithmetic, against the same in float64."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from made import nodes

from cgc.formula.numeric import array
from cgc.formula.numeric import value as value_of
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, const
from cgc.formula.tangent import tangent
from cgc.kernels.code import FUNCTIONS, argument, functions, loops, operations
from cgc.kernels.dump import dump
from cgc.kernels.expand import MAX_ROWS, Words, expand
from cgc.kernels.interpret import evaluate
from cgc.kernels.node import RATE, WORDS
from cgc.kernels.plan import Kernels, LawKernel

E = argument("e")
ROWS = 40
POINTS = [k / 7 - 2.5 for k in range(ROWS)]


def over(name: str, points: list[float] = POINTS, weights: str = "tilted") -> Over:
    columns: tuple[tuple[str, tuple[Scalar, ...]], ...] = (
        ("x", tuple(const(p) for p in points)),
        ("h", tuple(const((k * 37 % 11) / 5) for k in range(len(points)))),
    )
    x = Var("x")
    tilted = Op("add", (Op("sub", (Op("mul", (Var("e"), x)), Op("power", (x, const(2))))), Var("h")))
    w: Scalar = {"tilted": tilted, "lost": Op("where", (Op("gt", (x, const(1))), Op("neg", (Op("infinity", ()),)), tilted))}[weights]
    a = Op("add", (Op("sin", (x,)), Op("mul", (Op("tanh", (Var("e"),)), x))))
    return Over(name, columns, {"sum": (Op("mul", (a, w)),), "logsumexp": (w,), "inverse": (w, x)}.get(name, (w, a)))


ENERGIES = np.array([-60.0, -3.0, -0.2, 0.0, 0.4, 5.0, 60.0])


@pytest.mark.parametrize("weights", ["tilted", "lost"])
@pytest.mark.parametrize("name", ["sum", "logsumexp", "mean", "variance", "heaviest"])
def test_reductions(name: str, weights: str) -> None:
    if name == "sum" and weights == "lost":
        weights = "tilted"
    scalar = over(name, weights=weights)
    value = expand(scalar, {"e": E})
    assert loops(value) and operations(value) > ROWS
    (found,) = evaluate((value,), {"e": ENERGIES.astype(np.float32)})
    np.testing.assert_allclose(found, array(scalar, e=ENERGIES), rtol=2e-5, atol=2e-5)
    if name != "heaviest" and weights == "tilted":
        slope = tangent(scalar, "e")
        (found,) = evaluate((expand(slope, {"e": E}),), {"e": ENERGIES.astype(np.float32)})
        np.testing.assert_allclose(found, array(slope, e=ENERGIES), rtol=1e-4, atol=5e-5)
        assert abs(float(value_of(slope, e=mpmath.mpf("0.4"))) - array(slope, e=np.float64(0.4))) < 1e-10


@pytest.mark.parametrize("name", ["logsumexp", "mean", "variance"])
def test_what_is_no_number_stays_none(name: str) -> None:
    (found,) = evaluate((expand(over(name), {"e": E}),), {"e": np.float32([np.nan, 1])})
    assert np.isnan(found[0]) and np.isfinite(found[1])


def test_passes_are_dumped() -> None:
    known = Kernels((LawKernel("levels", "", nodes()["Levels"], False),))
    text = dump(known)
    assert "over 20 rows of" in text and "top, at first -3.40282e+38" in text


def test_a_table_that_waits_for_nothing_is_a_number() -> None:
    columns = (("x", tuple(const(p) for p in POINTS)),)
    value = expand(Over("sum", columns, (Var("x"),)), {"e": E})
    assert value.name == "constant" and abs(float(str(value.args[0])) - sum(POINTS)) < 1e-4


def drawn(scalar: Over, e: float, u: np.ndarray) -> np.ndarray:
    """What is drawn where uniform numbers, above one half, are these."""
    words = Words(WORDS, RATE)
    value = expand(scalar, {"e": E}, words)
    # the first word's lowest bit says from which end its others tell a share
    w = np.round((1 - u) * 2.0**32 - 0.5).astype(np.uint32) << np.uint32(1)
    return evaluate((value,), {"e": np.float32(e), "w0": w, "rate": np.float32(1)})[0]


@pytest.mark.parametrize("e", [-8.0, 0.3, 60.0])
def test_rows_are_drawn_in_proportion_to_their_weights(e: float) -> None:
    scalar = over("pick", weights="lost")
    points = np.array(POINTS)
    with np.errstate(all="ignore"):
        logs = np.where(points > 1, -np.inf, e * points - points**2 + np.array([(k * 37 % 11) / 5 for k in range(ROWS)]))
    p = np.exp(logs - logs.max())
    collected = np.cumsum(p) / p.sum()
    u = np.array([0.5 + 1e-6, 0.6, 0.75, 0.9, 0.999, 1 - 1e-4])
    assert all(min(abs(collected - one)) > 1e-6 for one in u)
    features = np.sin(points) + np.tanh(e) * points
    np.testing.assert_allclose(drawn(scalar, e, u), features[np.searchsorted(collected, u)], rtol=1e-5, atol=1e-5)
    # a number that is 1 to floats draws none of the rows that are as good as lost
    (last,) = drawn(scalar, e, np.array([1 - 2.0**-30]))
    assert min(abs(last - features[p > 1e-9 * p.sum()])) < 1e-4


def test_between_rows_shares_are_spread_evenly() -> None:
    scalar = over("inverse")
    points, u = np.array(POINTS), np.array([0.5 + 1e-6, 0.62, 0.8, 0.97, 0.9999])
    logs = 0.3 * points - points**2 + np.array([(k * 37 % 11) / 5 for k in range(ROWS)])
    p = np.exp(logs) / np.exp(logs).sum()
    edges = np.concatenate([points[:1], (points[1:] + points[:-1]) / 2, points[-1:]])
    np.testing.assert_allclose(drawn(scalar, 0.3, u), np.interp(u, np.concatenate([[0], np.cumsum(p)]), edges), rtol=1e-4, atol=1e-4)


def test_short_tables_are_written_out_and_long_ones_are_functions_of_their_own() -> None:
    short, long = expand(over("mean", POINTS[:MAX_ROWS]), {"e": E}), expand(over("mean"), {"e": E})
    assert not loops(short) and loops(long)
    (name,) = (known.name for known in functions(long) if known.passes)
    # another table has another name, the same one the same, with what it tells alone as a column
    assert expand(over("mean"), {"e": E}) is long
    other = over("mean", [*POINTS[:-1], 9.0])
    assert name not in {known.name for known in functions(expand(other, {"e": E}))}
    first = FUNCTIONS[name].passes[0]
    squares = [round(p * p, 5) for p in POINTS]
    assert any(np.allclose(numbers, squares, atol=1e-4) for _, numbers in first.columns)
    assert isinstance(other.columns[0][1][0], Const)
