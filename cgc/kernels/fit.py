"""Polynomials and quotients of polynomials that stand in for functions in float32, found from the functions themselves.

Finding them takes mpmath a second in all, so that what it found is kept in ``numbers.py``; ``python -m cgc.kernels.fit`` makes that file
again, and a test compares. What is not there is found when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.kernels.code import Value, lifted
from cgc.kernels.numbers import NUMBERS

Function = Callable[[Any], Any]
Numbers = tuple[tuple[float, ...], ...]
FITS: dict[str, Callable[[], Numbers]] = {}
"""How the numbers of each name are found: those of a polynomial, or of a numerator and a denominator."""


def fitted(name: str, function: Function, low: float, high: float, degree: int) -> Callable[[Value], Value]:
    """The polynomial of that degree which is nearly ``function`` on [low, high]."""
    FITS.setdefault(name, lambda: (polynomial(function, low, high, degree),))
    return lambda x: horner(x, _numbers(name)[0])


def quotient(name: str, function: Function, low: float, high: float, degree: int, below: int) -> Callable[[Value], Value]:
    """The quotient of two polynomials which is nearly ``function`` on [low, high], to its own size."""
    FITS.setdefault(name, lambda: rational(function, low, high, degree, below))

    def build(x: Value) -> Value:
        above, under = _numbers(name)
        return horner(x, above) / horner(x, under)

    return build


def coefficients(name: str, function: Function, low: float, high: float, degree: int) -> tuple[float, ...]:
    """Those of the same polynomial, constant term first."""
    FITS.setdefault(name, lambda: (polynomial(function, low, high, degree),))
    return _numbers(name)[0]


def surface(name: str, function: Callable[[Any, Any], Any], low: float, high: float, degree: int, far: float, nodes: int) -> Numbers:
    """Of polynomials p_j of that degree, such that Σ_j t^j p_j(x) is nearly ``function(x, t)`` for x on [low, high] and 0 < t ≤ far; j is
    less than ``nodes``."""
    FITS.setdefault(name, lambda: _surface(function, low, high, degree, far, nodes))
    return _numbers(name)


@lru_cache(maxsize=256)
def _numbers(name: str) -> Numbers:
    return NUMBERS[name] if name in NUMBERS else FITS[name]()


def polynomial(function: Function, low: float, high: float, degree: int) -> tuple[float, ...]:
    """The Chebyshev approximation on [low, high], rounded to float32, constant term first."""
    with mp.workdps(30):
        found = mpmath.chebyfit(lru_cache(function), [mp.mpf(low), mp.mpf(high)], degree + 1)
    return tuple(float(np.float32(c)) for c in reversed(found))


def _surface(function: Callable[[Any, Any], Any], low: float, high: float, degree: int, far: float, nodes: int) -> Numbers:
    with mp.workdps(30):
        ends = [mp.mpf(low), mp.mpf(high)]
        places = [mp.mpf(far) / 2 * (1 + mpmath.cos(mp.pi * (k + mp.mpf(1) / 2) / nodes)) for k in range(nodes)]
        across = [mpmath.chebyfit(lru_cache(lambda x, t=t: function(x, t)), ends, degree + 1)[::-1] for t in places]
        powers = mp.matrix([[t**j for j in range(nodes)] for t in places])
        along = [mpmath.lu_solve(powers, mp.matrix([p[k] for p in across])) for k in range(degree + 1)]
    return tuple(tuple(float(np.float32(found[j])) for found in along) for j in range(nodes))


def rational(function: Function, low: float, high: float, degree: int, below: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Numerator and denominator, by least squares at Chebyshev's nodes with weights from the round before (Sanathanan and Koerner 1963)."""
    nodes = 64
    with mp.workdps(40):
        middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
        points = [middle + half * mpmath.cos(mp.pi * (k + mp.mpf(1) / 2) / nodes) for k in range(nodes)]
        values = [function(x) for x in points]
        under = [mp.one] * nodes
        for _ in range(6):
            system, right = mp.matrix(nodes, degree + 1 + below), mp.matrix(nodes, 1)
            for row, (x, y) in enumerate(zip(points, values, strict=True)):
                weight = 1 / (y * under[row])
                for k in range(degree + 1):
                    system[row, k] = weight * x**k
                for k in range(1, below + 1):
                    system[row, degree + k] = -weight * y * x**k
                right[row] = weight * y
            found, _ = mp.qr_solve(system, right)
            numerator = [found[k] for k in range(degree + 1)]
            denominator = [mp.one, *(found[degree + k] for k in range(1, below + 1))]
            under = [mpmath.polyval(denominator[::-1], x) for x in points]
    first, second = (tuple(float(np.float32(c)) for c in part) for part in (numerator, denominator))
    return first, second


def horner(x: Value, numbers: Sequence[Value | float]) -> Value:
    """Σ c_k x^k."""
    total = lifted(numbers[-1])
    for c in reversed(numbers[:-1]):
        total = total * x + c
    return total


def found() -> dict[str, Numbers]:
    """The numbers of all fits that are known by now, found anew."""
    return {name: FITS[name]() for name in sorted(FITS)}


def text(numbers: dict[str, Numbers]) -> str:
    """The file ``numbers.py``: float32 as the shortest decimals that read back exactly."""
    lines = [
        '"""Coefficients that ``fit.py`` found; ``python -m cgc.kernels.fit`` makes this file."""',
        "",
        "NUMBERS: dict[str, tuple[tuple[float, ...], ...]] = {",
    ]
    for name, parts in numbers.items():
        lines.append(f'    "{name}": (')
        for part in parts:
            shown = [str(np.float32(c)) for c in part]
            lines += ["        (", *(f"            {', '.join(shown[k : k + 8])}," for k in range(0, len(shown), 8)), "        ),"]
        lines.append("    ),")
    return "\n".join([*lines, "}  # fmt: skip", ""])


def main() -> None:
    """Write ``numbers.py``."""
    from cgc.kernels import arithmetic, counts, gamma, random

    for module in (arithmetic, random, gamma, counts):
        module.define_all()
    from cgc.kernels import fit  # this module under its own name: as a script it is another

    Path(__file__).with_name("numbers.py").write_text(text(fit.found()), encoding="utf-8")


if __name__ == "__main__":
    main()
