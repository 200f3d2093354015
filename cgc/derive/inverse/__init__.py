"""The way back: from an activation a(e) to a node whose expectation it is.

For Y = e + noise, with F the distribution function of -noise, E 1[Y > 0] = F(e) and E max(0, Y) = ∫F. So an activation that is a
distribution function (or an affine image of one) is a threshold node, and one whose *derivative* is one is a rectified node; the
noise has the density F'(-y). An activation that is e times a probability is a gate, an exponential is the mean of a scale.

Limits, monotonicity and the noise are tested in many digits on the activation itself; nothing is looked up by name. What is found is
derived forward again before it is returned.
"""

from cgc.derive.inverse.invert import invert
from cgc.derive.inverse.node import Inverse

__all__ = ["Inverse", "invert"]
