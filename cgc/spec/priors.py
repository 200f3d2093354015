"""Priors on weights: of all of them in ``train``, of those of one edge beside its ``init``."""

from __future__ import annotations

from cgc.source.tree import Node
from cgc.spec import surface
from cgc.spec.model import Prior
from cgc.spec.validate import Reader


def build_prior(reader: Reader, written: surface.PriorField | None, node: Node) -> Prior | None:
    """The record of a prior, written as ``prior`` in ``node``; bounds without anything between them are an error (CG306)."""
    match written:
        case None:
            return None
        case surface.GaussianPrior():
            return Prior("gaussian", precision=float(written.precision))
        case surface.LaplacePrior():
            return Prior("laplace", scale=float(written.scale))
    if written.low >= written.high:
        place = node.find(("prior", "high"))[1].span
        reader.error("CG306", f"`high` is {written.high:g}, not above `low`, {written.low:g}", place, help="exchange them")
    return Prior("uniform", low=float(written.low), high=float(written.high))
