"""Standard noises: what the noise route needs to know of each, in stable primitives. One class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import sympy

from cgc.families.forms import Base
from cgc.formula import primitives as p
from cgc.formula.scalar import Op, Scalar

_N = sympy.Symbol("n", real=True)


@dataclass(frozen=True)
class Noise(ABC):
    """A standard noise n with density f and distribution function F.

    ``symbol`` names it; ``density_text`` and ``density_latex`` are f(n). ``low`` and ``high`` bound where it lives, ``reach`` where
    all but 1e-30 of it does; ``breaks`` are corners of f.
    """

    symbol: str
    density_text: str
    density_latex: str
    draw: Scalar
    low: Any = -sympy.oo
    high: Any = sympy.oo
    reach: tuple[float, float] = (-72.0, 72.0)
    breaks: tuple[Any, ...] = ()
    symmetric: bool = True

    @abstractmethod
    def log_density(self, n: Any) -> Any:
        """log f(n), inside the support."""

    @abstractmethod
    def log_cdf(self, z: Any) -> Any:
        """log F(z)."""

    def log_upper(self, z: Any) -> Any:
        """log(1 - F(z))."""
        return self.log_cdf(-z)

    @abstractmethod
    def log_interval(self, low: Any, high: Any) -> Any:
        """log(F(high) - F(low))."""

    def centred(self, z: Any) -> Any | None:
        """2 F(z) - 1 of a symmetric noise, which is odd, without cancellation at 0; None where there is no such form."""
        return None

    @abstractmethod
    def moment(self, k: int) -> Any:
        """E nᵏ."""

    @abstractmethod
    def ramp(self, k: int, z: Any) -> Any | None:
        """W_k(z) = E max(0, z + n)ᵏ for z <= 0, with W_0 = P(n > -z) and W_k' = k·W_{k-1}; None where there is no closed form."""

    def fall(self, k: int, z: Any) -> Any | None:
        """V_k(z) = E max(0, -z - n)ᵏ for z >= 0."""
        return self.ramp(k, -z)

    def everywhere(self, k: int) -> bool:
        """Whether :meth:`ramp` and :meth:`fall` hold for every z."""
        return False

    def exponential(self, rate: Any) -> tuple[Any, str] | None:
        """E exp(rate·n), and the end at which it diverges ("" where it converges); None where there is no closed form."""
        return None

    def characteristic(self, rate: Any) -> tuple[Any, Any] | None:
        """E cos(rate·n) and E sin(rate·n); None where there is no closed form."""
        return None


class Normal(Noise):
    """f = φ, F = Φ."""

    def log_density(self, n: Any) -> Any:
        return -(n**2) / 2 - sympy.log(2 * sympy.pi) / 2

    def log_cdf(self, z: Any) -> Any:
        return p.LogNormCdf(z)

    def log_interval(self, low: Any, high: Any) -> Any:
        return p.LogNormInterval(low, high)

    def centred(self, z: Any) -> Any:
        return sympy.erf(z / sympy.sqrt(2))

    def moment(self, k: int) -> Any:
        return sympy.Integer(0) if k % 2 else sympy.factorial2(k - 1)

    def ramp(self, k: int, z: Any) -> Any:
        return p.NormCdf(z) if k == 0 else p.NormRamp(z) if k == 1 else p.NormMoment(k, z)

    def everywhere(self, k: int) -> bool:
        return True

    def exponential(self, rate: Any) -> tuple[Any, str]:
        return sympy.exp(rate**2 / 2), ""

    def characteristic(self, rate: Any) -> tuple[Any, Any]:
        return sympy.exp(-(rate**2) / 2), sympy.Integer(0)


class Logistic(Noise):
    """f = σ(1-σ), F = σ."""

    def log_density(self, n: Any) -> Any:
        return p.LogSigmoid(n) + p.LogSigmoid(-n)

    def log_cdf(self, z: Any) -> Any:
        return p.LogSigmoid(z)

    def log_interval(self, low: Any, high: Any) -> Any:
        return p.LogLogisticInterval(low, high)

    def centred(self, z: Any) -> Any:
        return p.Tanh(z / 2)

    def moment(self, k: int) -> Any:
        # (2^k - 2) π^k |B_k|
        return sympy.Integer(0) if k % 2 else (2**k - 2) * sympy.pi**k * abs(sympy.bernoulli(k)) if k else sympy.Integer(1)

    def ramp(self, k: int, z: Any) -> Any:
        # W_1 = ∫σ; beyond that polylogarithms
        return p.Sigmoid(z) if k == 0 else p.Softplus(z) if k == 1 else p.LogisticMoment(k, z)

    def everywhere(self, k: int) -> bool:
        return True

    def exponential(self, rate: Any) -> tuple[Any, str] | None:
        if not rate.is_number or rate == 0:
            return None
        end = "infinity" if rate > 0 else "minus infinity"
        return sympy.pi * rate / sympy.sin(sympy.pi * rate), end if abs(rate) >= 1 else ""

    def characteristic(self, rate: Any) -> tuple[Any, Any] | None:
        return (sympy.pi * rate / sympy.sinh(sympy.pi * rate), sympy.Integer(0)) if rate.is_number and rate != 0 else None


class Laplace(Noise):
    """f = exp(-|n|)/2."""

    def log_density(self, n: Any) -> Any:
        return -sympy.Abs(n) - sympy.log(2)

    def log_cdf(self, z: Any) -> Any:
        return sympy.Piecewise(
            (z - sympy.log(2), z < 0), (p.Log1p(-sympy.exp(-sympy.Max(0, z)) / 2), True), evaluate=False
        )  # fmt: skip

    def log_interval(self, low: Any, high: Any) -> Any:
        # F(b) - F(a) on either side of the corner: two shares, of which one may be nothing
        left = sympy.exp(sympy.Min(0, high)) * -p.Expm1(sympy.Min(0, low) - sympy.Min(0, high)) / 2
        right = sympy.exp(-sympy.Max(0, low)) * -p.Expm1(sympy.Max(0, low) - sympy.Max(0, high)) / 2
        far_left = high - sympy.log(2) + p.Log1mExp(high - low)
        far_right = -low - sympy.log(2) + p.Log1mExp(high - low)
        return sympy.Piecewise((far_left, high < -1), (far_right, low > 1), (sympy.log(left + right), True), evaluate=False)

    def moment(self, k: int) -> Any:
        return sympy.Integer(0) if k % 2 else sympy.factorial(k)

    def ramp(self, k: int, z: Any) -> Any:
        return sympy.factorial(k) * sympy.exp(z) / 2

    def exponential(self, rate: Any) -> tuple[Any, str] | None:
        if not rate.is_number:
            return None
        end = "infinity" if rate > 0 else "minus infinity"
        return (1 / (1 - rate**2) if abs(rate) != 1 else sympy.oo), end if abs(rate) >= 1 else ""

    def characteristic(self, rate: Any) -> tuple[Any, Any]:
        return 1 / (1 + rate**2), sympy.Integer(0)


class Uniform(Noise):
    """f = 1/2 on [-1, 1]."""

    def log_density(self, n: Any) -> Any:
        return -sympy.log(2)

    def log_cdf(self, z: Any) -> Any:
        return sympy.log(sympy.Max(0, sympy.Min(2, 1 + z)) / 2)

    def log_interval(self, low: Any, high: Any) -> Any:
        return sympy.log(sympy.Max(0, sympy.Min(1, high) - sympy.Max(-1, low)) / 2)

    def moment(self, k: int) -> Any:
        return sympy.Integer(0) if k % 2 else sympy.Rational(1, k + 1)

    def ramp(self, k: int, z: Any) -> Any:
        return sympy.Max(0, 1 + z) ** (k + 1) / (2 * (k + 1))

    def characteristic(self, rate: Any) -> tuple[Any, Any] | None:
        return (sympy.sin(rate) / rate, sympy.Integer(0)) if rate.is_number and rate != 0 else None

    def exponential(self, rate: Any) -> tuple[Any, str] | None:
        return (sympy.sinh(rate) / rate, "") if rate.is_number and rate != 0 else None


class Gumbel(Noise):
    """f = exp(-n - exp(-n)), F = exp(-exp(-n)): of maxima."""

    def log_density(self, n: Any) -> Any:
        return -n - sympy.exp(-n)

    def log_cdf(self, z: Any) -> Any:
        return -sympy.exp(-z)

    def log_upper(self, z: Any) -> Any:
        return p.LogGumbelUpper(z)

    def log_interval(self, low: Any, high: Any) -> Any:
        # F(b) (1 - F(a)/F(b)): the ratio's logarithm is exp(-b) - exp(-a), a product that keeps its digits
        gap = sympy.exp(-high) * p.Expm1(high - low)
        near = -sympy.exp(-high) + p.Log1mExp(gap)
        far = -sympy.exp(-high) - high + sympy.log(p.Expm1(high - low))
        return sympy.Piecewise((far, low > 30), (near, True), evaluate=False)

    def moment(self, k: int) -> Any:
        # from the cumulants: γ, and (j-1)! ζ(j)
        if k == 0:
            return sympy.Integer(1)
        cumulant = [sympy.EulerGamma, *(sympy.factorial(j - 1) * sympy.zeta(j) for j in range(2, k + 1))]
        moments = [sympy.Integer(1)]
        for n in range(1, k + 1):
            moments.append(sum(sympy.binomial(n - 1, j - 1) * cumulant[j - 1] * moments[n - j] for j in range(1, n + 1)))
        return sympy.expand(moments[k]) if k <= 2 else None

    def ramp(self, k: int, z: Any) -> Any | None:
        return -p.Expm1(-sympy.exp(z)) if k == 0 else p.GumbelRamp(z) if k == 1 else None

    def fall(self, k: int, z: Any) -> Any | None:
        # beyond 6 it is nothing, and exp(z) would overflow
        return sympy.exp(-sympy.exp(sympy.Min(6, z))) if k == 0 else p.GumbelFall(z) if k == 1 else None

    def everywhere(self, k: int) -> bool:
        return k == 1

    def exponential(self, rate: Any) -> tuple[Any, str] | None:
        if not rate.is_number:
            return None
        return (sympy.exp(sympy.loggamma(1 - rate)), "") if rate < 1 else (sympy.oo, "infinity")


class Exponential(Noise):
    """f = exp(-n) for n >= 0."""

    def log_density(self, n: Any) -> Any:
        return -n

    def log_cdf(self, z: Any) -> Any:
        return p.Log1mExp(sympy.Max(0, z))

    def log_upper(self, z: Any) -> Any:
        return -sympy.Max(0, z)

    def log_interval(self, low: Any, high: Any) -> Any:
        return -sympy.Max(0, low) + p.Log1mExp(sympy.Max(0, high) - sympy.Max(0, low))

    def moment(self, k: int) -> Any:
        return sympy.factorial(k)

    def ramp(self, k: int, z: Any) -> Any:
        return sympy.factorial(k) * sympy.exp(z)

    def fall(self, k: int, z: Any) -> Any:
        return p.ExponentialFall(k, -z)

    def exponential(self, rate: Any) -> tuple[Any, str] | None:
        if not rate.is_number:
            return None
        return (1 / (1 - rate), "") if rate < 1 else (sympy.oo, "infinity")

    def characteristic(self, rate: Any) -> tuple[Any, Any]:
        return 1 / (1 + rate**2), rate / (1 + rate**2)


BASES: dict[Base, Noise] = {
    "normal": Normal("n ~ N(0, 1)", "φ(n)", r"\varphi(n)", Op("draw_normal", ()), reach=(-12.0, 12.0)),
    "logistic": Logistic("n ~ Logistic(0, 1)", "σ(n)·σ(-n)", r"\sigma(n)\sigma(-n)", Op("draw_logistic", ())),
    "laplace": Laplace("n ~ Laplace(0, 1)", "exp(-|n|)/2", r"\tfrac12\exp(-|n|)", Op("draw_laplace", ()), breaks=(0,)),
    "uniform": Uniform("n ~ Uniform(-1, 1)", "1/2", r"\tfrac12", Op("draw_uniform", ()), sympy.Integer(-1), sympy.Integer(1), (-1.0, 1.0)),
    "gumbel": Gumbel(
        "n ~ Gumbel(0, 1)", "exp(-n - exp(-n))", r"\exp(-n-\exp(-n))", Op("draw_gumbel", ()), reach=(-4.5, 72.0), symmetric=False
    ),
    "exponential": Exponential(
        "n ~ Exponential(1)", "exp(-n)", r"\exp(-n)", Op("draw_exponential", ()), sympy.Integer(0), reach=(0.0, 72.0), symmetric=False
    ),
}
