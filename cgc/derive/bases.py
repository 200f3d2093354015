"""Standard noises: what the noise route needs to know of each. Both are symmetric about 0."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import sympy

from cgc.families.forms import Base
from cgc.formula import primitives as p


@dataclass(frozen=True)
class Noise(ABC):
    """Density f and distribution function F of a symmetric standard noise, in stable primitives."""

    symbol: str

    @abstractmethod
    def log_density(self, n: Any) -> Any:
        """log f(n)."""

    @abstractmethod
    def cdf(self, z: Any) -> Any:
        """F(z)."""

    @abstractmethod
    def centred(self, z: Any) -> Any:
        """2 F(z) - 1, which is odd, without cancellation at 0."""

    @abstractmethod
    def log_cdf(self, z: Any) -> Any:
        """log F(z)."""

    @abstractmethod
    def log_interval(self, low: Any, high: Any) -> Any:
        """log(F(high) - F(low))."""

    @abstractmethod
    def moment(self, k: int) -> Any:
        """E nᵏ."""

    @abstractmethod
    def ramp_moment(self, k: int, z: Any) -> Any:
        """W_k(z) = E max(0, z + n)ᵏ, with W_0 = F and W_k' = k·W_{k-1}; None where no closed form is known."""


class Normal(Noise):
    """f = φ, F = Φ."""

    def log_density(self, n: Any) -> Any:
        return -(n**2) / 2 - sympy.log(2 * sympy.pi) / 2

    def cdf(self, z: Any) -> Any:
        return p.NormCdf(z)

    def centred(self, z: Any) -> Any:
        return sympy.erf(z / sympy.sqrt(2))

    def log_cdf(self, z: Any) -> Any:
        return p.LogNormCdf(z)

    def log_interval(self, low: Any, high: Any) -> Any:
        return p.LogNormInterval(low, high)

    def moment(self, k: int) -> Any:
        return sympy.Integer(0) if k % 2 else sympy.factorial2(k - 1)

    def ramp_moment(self, k: int, z: Any) -> Any:
        # integration by parts: W_k = z W_{k-1} + (k-1) W_{k-2}
        if k == 0:
            return p.NormCdf(z)
        if k == 1:
            return p.NormRamp(z)
        return z * self.ramp_moment(k - 1, z) + (k - 1) * self.ramp_moment(k - 2, z)


class Logistic(Noise):
    """f = σ(1-σ), F = σ."""

    def log_density(self, n: Any) -> Any:
        return p.LogSigmoid(n) + p.LogSigmoid(-n)

    def cdf(self, z: Any) -> Any:
        return p.Sigmoid(z)

    def centred(self, z: Any) -> Any:
        return sympy.tanh(z / 2)

    def log_cdf(self, z: Any) -> Any:
        return p.LogSigmoid(z)

    def log_interval(self, low: Any, high: Any) -> Any:
        return p.LogLogisticInterval(low, high)

    def moment(self, k: int) -> Any:
        # (2^k - 2) π^k |B_k|
        return sympy.Integer(0) if k % 2 else (2**k - 2) * sympy.pi**k * abs(sympy.bernoulli(k)) if k else sympy.Integer(1)

    def ramp_moment(self, k: int, z: Any) -> Any:
        # W_1 = ∫σ; beyond that polylogarithms
        return p.Sigmoid(z) if k == 0 else p.Softplus(z) if k == 1 else None


BASES: dict[Base, Noise] = {"normal": Normal("n ~ N(0, 1)"), "logistic": Logistic("n ~ Logistic(0, 1)")}
