"""What is assumed of weights, and what training makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from cgc.program.ir import Layer
from cgc.spec.model import Prior, Train


def prior_lines(layer: Layer, train: Train | None) -> Iterator[str]:
    """The prior of each edge's weights: its own, or that of all weights."""
    for c in layer.contributions:
        prior = c.product.prior or (train.prior if train is not None else None)
        if prior is not None and c.product.weight_shape is not None:
            of = f"{c.name}, of its lengths g" if c.product.weight_norm else c.name
            yield f"{of}: {_words(prior, train is not None and train.optimizer.kind == 'adam')}"


def _words(prior: Prior, adam: bool) -> str:
    match prior.kind:
        case "gaussian":
            rescaled = ", which Adam rescales" if adam else ""
            return f"N(0, 1/{prior.precision:g}), weight decay {prior.precision:g}: added to the gradient{rescaled}"
        case "laplace":
            return f"Laplace(0, {prior.scale:g}), an L1 penalty: sign(w) / {prior.scale:g} is added to the gradient"
        case "uniform":
            return f"U({prior.low:g}, {prior.high:g}): projected to these bounds after every update"
