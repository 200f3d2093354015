"""The definition itself, which derivations are checked against, where densities have poles at the ends of their support or fall slowly."""

from __future__ import annotations

from typing import Any

import mpmath
import pytest
from mpmath import mp

from cgc.derive.derivation import Refusal
from cgc.derive.judge import DIGITS, judge
from cgc.derive.limit import derive_within
from cgc.formula.numeric import value
from cgc.spec.single import read_single


def moments(text: str, e: float) -> tuple[Any, Any, Any]:
    with mp.workdps(DIGITS):
        return judge(read_single(text).law)(mp.mpf(e))


@pytest.mark.parametrize("shape", ["0.3", "0.02", "0.001"])
def test_poles_at_an_end(shape: str) -> None:
    """x^(shape - 1) exp(-x exp(-e)): most of it lies where x is smaller than any float."""
    mean, variance, _ = moments(f"{{kind: gamma, shape: {shape}}}", 0.7)
    with mp.workdps(40):
        scale = mpmath.exp(mp.mpf(0.7))
        assert abs(mean - mp.mpf(shape) * scale) < 1e-18 and abs(variance - mp.mpf(shape) * scale**2) < 1e-18


def test_poles_at_both_ends() -> None:
    with mp.workdps(40):
        e = mp.mpf(1.25)
        a, b = ((1 / (1 + mpmath.exp(-s * e))) / 50 for s in (1, -1))
        mean, variance, _ = moments("{kind: beta, concentration: 0.02}", 1.25)
        assert abs(mean - a / (a + b)) < 1e-17 and abs(variance - a * b / (a + b) ** 2 / (a + b + 1)) < 1e-17


def test_features_that_grow_towards_a_pole() -> None:
    """log x, at a shape of 0.01: the end has no value that stands for what lies beyond."""
    mean, variance, _ = moments("{kind: density, support: nonnegative, log_density: -0.99*log(x) - x*exp(e), feature: log(x)}", 0.0)
    assert abs(mean - mpmath.digamma("0.01")) < 1e-9 and abs(variance - mpmath.psi(1, "0.01")) < 1e-6


def test_what_falls_too_slowly_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        moments("{kind: density, support: nonnegative, log_density: -0.9999*log(x) - x*exp(e), feature: log(x)}", 0.0)
    assert refused.value.code == "CG503"


@pytest.mark.parametrize("scale", ["e", "e**2"])
def test_variances_that_vanish_with_the_scale_and_grow_beyond_floats(scale: str) -> None:
    """exp(y): neither do digits cancel where there is nearly no noise, nor is what no float holds compared with a sum that is cut off."""
    found = derive_within(read_single(f"{{kind: noise, base: normal, scale: {scale}, value: exp(-y)}}").law, None)
    assert found.numeric is None and found.check.max_difference < 1e-15
    with mp.workdps(30):
        for e in (mp.mpf("1e-4"), mp.mpf("-2.5")):
            s = e if scale == "e" else e**2
            expected = mpmath.exp(s * s - 2 * e) * mpmath.expm1(s * s)
            assert mpmath.almosteq(value(found.variance, e=e), expected, 1e-20)
