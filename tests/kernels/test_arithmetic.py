"""Functions in typed float32 arithmetic against mpmath: digits everywhere, and what happens at the ends of the range."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

from cgc.formula.numeric import _MP
from cgc.kernels import arithmetic as a
from cgc.kernels import counts, fit, gamma, random
from cgc.kernels.code import Value, argument
from cgc.kernels.fit import FITS
from cgc.kernels.interpret import evaluate
from cgc.kernels.numbers import NUMBERS
from cgc.kernels.polygamma import polygamma

X = argument("x")
_RNG = np.random.default_rng(0)
_FAR = 10.0 ** _RNG.uniform(-30, 30, 200)
WIDE = np.concatenate([np.linspace(-20, 20, 401), np.linspace(-1, 1, 301), _RNG.uniform(-100, 100, 300), _FAR, -_FAR]).astype(np.float32)
POSITIVE = np.abs(WIDE)
CIRCLE = WIDE[np.abs(WIDE) < 1000]

# the function, what it is, where, and how many half units in the last place it may be off
CASES: dict[str, tuple[Callable[[Value], Value], Callable[[Any], Any], Any, float]] = {
    "exp": (a.exp, _MP["exp"], WIDE, 3),
    "expm1": (a.expm1, _MP["expm1"], WIDE, 4),
    "log": (a.log, mpmath.log, POSITIVE, 3),
    "log1p": (a.log1p, mpmath.log1p, WIDE[WIDE > -1], 5),
    "tanh": (a.tanh, mpmath.tanh, WIDE, 4),
    "sigmoid": (a.sigmoid, _MP["sigmoid"], WIDE, 5),
    "logistic_pdf": (a.logistic_pdf, _MP["logistic_pdf"], WIDE, 8),
    "softplus": (a.softplus, _MP["softplus"], WIDE, 5),
    "log_sigmoid": (a.log_sigmoid, _MP["log_sigmoid"], WIDE, 5),
    "sinh": (a.sinh, _MP["sinh"], WIDE, 5),
    "cosh": (a.cosh, _MP["cosh"], WIDE, 4),
    "asinh": (a.asinh, mpmath.asinh, WIDE, 5),
    "sin": (a.sin, mpmath.sin, CIRCLE, 6),
    "cos": (a.cos, mpmath.cos, CIRCLE, 6),
    "erf": (a.erf, mpmath.erf, WIDE, 6),
    "norm_pdf": (a.norm_pdf, _MP["norm_pdf"], WIDE, 5),
    "norm_cdf": (lambda z: a.norm_moment(0, z), _MP["norm_cdf"], WIDE, 10),
    "norm_ramp": (lambda z: a.norm_moment(1, z), lambda z: _MP["norm_moment"](1, z), WIDE, 14),
    "norm_moment_2": (lambda z: a.norm_moment(2, z), lambda z: _MP["norm_moment"](2, z), WIDE, 18),
    "norm_excess_1": (lambda z: a.norm_excess(1, z), lambda z: _MP["norm_excess"](1, z), WIDE, 12),
    "norm_excess_2": (lambda z: a.norm_excess(2, z), lambda z: _MP["norm_excess"](2, z), WIDE[WIDE < 3], 60),
    "log_norm_cdf": (a.log_norm_cdf, _MP["log_norm_cdf"], WIDE[WIDE < 9], 12),
    "log_mills": (a.log_mills, _MP["log_mills"], WIDE[(WIDE < 30) & (abs(WIDE - 0.75) > 0.5)], 40),
    "log_mills_above": (a.log_mills_above, lambda t: _MP["log_mills"](-t), POSITIVE[POSITIVE < 1e6], 6),
    "inverse_expm1": (a.inverse_expm1, _MP["inverse_expm1"], WIDE[WIDE != 0], 5),
    "inverse_sinh2": (a.inverse_sinh2, _MP["inverse_sinh2"], WIDE[WIDE != 0], 10),
    "log1mexp": (a.log1mexp, _MP["log1mexp"], POSITIVE, 8),
    "gumbel_ramp": (a.gumbel_ramp, _MP["gumbel_ramp"], WIDE, 6),
    "gumbel_fall": (a.gumbel_fall, _MP["gumbel_fall"], WIDE[WIDE < 3], 60),
    "log_gumbel_upper": (a.log_gumbel_upper, _MP["log_gumbel_upper"], WIDE[WIDE > -3], 60),
    "exponential_fall_1": (lambda t: a.exponential_fall(1, t), lambda t: _MP["exponential_fall"](1, t), POSITIVE, 6),
    "exponential_fall_2": (lambda t: a.exponential_fall(2, t), lambda t: _MP["exponential_fall"](2, t), POSITIVE, 8),
    "polygamma_0": (lambda x: polygamma(0, x), mpmath.digamma, POSITIVE[(POSITIVE > 1e-30) & (abs(POSITIVE - 1.46) > 0.3)], 12),
    "polygamma_1": (lambda x: polygamma(1, x), lambda x: mpmath.psi(1, x), POSITIVE[(POSITIVE > 1e-18) & (POSITIVE < 1e18)], 8),
    "polygamma_2": (lambda x: polygamma(2, x), lambda x: mpmath.psi(2, x), POSITIVE[(POSITIVE > 1e-12) & (POSITIVE < 1e12)], 10),
    "logistic_moment_2": (lambda z: a.logistic_moment(2, z), lambda z: _MP["logistic_moment"](2, z), WIDE[::5], 6),
    "logistic_moment_3": (lambda z: a.logistic_moment(3, z), lambda z: _MP["logistic_moment"](3, z), WIDE[::5], 8),
}  # fmt: skip
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)


@pytest.mark.parametrize("name", CASES)
def test_digits(name: str) -> None:
    build, exact, points, limit = CASES[name]
    (found,) = evaluate((build(X),), {"x": points})
    with mp.workdps(60):
        for x, y in zip(points, np.broadcast_to(found, points.shape), strict=True):
            expected = exact(mpmath.mpf(float(x)))
            if not mpmath.isfinite(expected) or abs(expected) > LARGEST:
                continue
            assert np.isfinite(y), (x, y, expected)
            # what is below the smallest normal number may be 0
            allowed = limit * abs(expected) * mpmath.mpf(2) ** -24 + SMALLEST
            assert abs(mpmath.mpf(float(y)) - expected) <= allowed, (x, y, mpmath.nstr(expected, 12))


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", -np.inf, 0), ("exp", np.inf, np.inf), ("exp", np.nan, np.nan), ("log", 0, -np.inf), ("log", np.inf, np.inf),
        ("log", -1, np.nan), ("log", 1e-45, float(np.log(np.float32(1e-45), dtype=np.float64))), ("tanh", np.inf, 1), ("tanh", -np.inf, -1),
        ("tanh", np.nan, np.nan), ("sigmoid", -np.inf, 0), ("sigmoid", np.inf, 1), ("softplus", np.inf, np.inf), ("softplus", -np.inf, 0),
        ("norm_cdf", -np.inf, 0), ("norm_cdf", np.inf, 1), ("log1p", -1, -np.inf), ("expm1", -np.inf, -1), ("erf", -np.inf, -1),
        ("softplus", np.nan, np.nan),
    ],
)  # fmt: skip
def test_ends(name: str, x: float, expected: float) -> None:
    (found,) = evaluate((CASES[name][0](X),), {"x": np.array([x], np.float32)})
    np.testing.assert_allclose(np.atleast_1d(found), [expected], rtol=1e-6)


def test_equal_arithmetic_is_one_object() -> None:
    assert a.exp(X) is a.exp(argument("x")) and (X + 1.0) * 2.0 is (argument("x") + 1.0) * 2.0
    assert X * 1.0 is X and X + 0.0 is X and X / 1.0 is X
    with pytest.raises(TypeError):
        (X < 1.0) + X


def test_the_numbers_are_those_that_are_found() -> None:
    for module in (a, random, gamma, counts):
        module.define_all()
    assert set(NUMBERS) <= set(FITS)
    text_of = fit.text({name: FITS[name]() for name in sorted(NUMBERS)})
    assert text_of == (Path(fit.__file__).parent / "numbers.py").read_text(encoding="utf-8")
