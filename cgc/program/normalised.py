"""Which normalisations can be compiled: of the weights of which edges, and with biases that are shared in which way."""

from __future__ import annotations

from collections.abc import Iterator

from cgc.graph.analysis import Graph
from cgc.graph.structure import fixed_weight
from cgc.program.ir import Product
from cgc.source.diagnostics import Diagnostic
from cgc.spec.model import Spec


def takes_weight_norm(product: Product) -> bool:
    """Whether a node has several learned weights here, which weight normalisation takes apart into length and direction."""
    return product.kind in ("dense", "embedding", "table", "convolution") and product.weight_shape is not None


def not_normalised(spec: Spec, graph: Graph) -> Iterator[Diagnostic]:
    """What is in the way.

    CG605 where no node has several weights, CG607 for scales that two groups would share, CG608 for weights that make no matrix, CG609
    for a prior on weights of which only length and direction are learned.
    """
    normed = {edge.weight for part in graph.parts if part.normalize and part.normalize.kind == "weight" for edge in part.edges}
    for part in graph.parts:
        child = spec.component(part.component)
        for edge in part.edges:
            if edge.edge.same_as is not None and edge.weight in normed:
                message = f"`{child.name}` shares a weight that is normalised, which is not supported by this version of cgc"
                yield Diagnostic("CG608", message, edge.edge.span, help="give it a weight of its own, or another normalisation")
        if child.normalize is None:
            continue
        shared = part.bias
        if child.normalize.kind == "group" and shared is not None and shared.count % child.normalize.groups:
            message = f"`{child.name}` is normalised in groups, and shares biases between nodes of different groups"
            yield Diagnostic("CG607", message, child.span, help="share biases within groups, or normalise in fewer groups")
        if child.normalize.kind != "weight":
            continue
        single = ("elementwise", "identity", "average", "absent")
        if all(edge.structure.kind in single or fixed_weight(edge) is not None for edge in part.edges):
            message = f"the independence statements leave nothing of `{part.name}` to normalise"
            yield Diagnostic("CG605", message, child.span, help="take less out of its edges, or remove `normalize`")
        for edge in (edge for edge in part.edges if edge.gates is None):
            kind = edge.structure.kind
            prior = edge.edge.prior or (spec.train.prior if spec.train else None)
            if kind not in single and fixed_weight(edge) is None and prior is not None and prior.kind != "gaussian":
                message = f"a {prior.kind} prior on normalised weights is not supported by this version of cgc: `{child.name}`"
                help = "write `prior: {kind: gaussian, …}` for this edge"
                yield Diagnostic("CG609", message, edge.edge.span, why="g and v are learned, and not their product", help=help)
            if kind in ("masked", "tied", "grouped", "local") and edge.edge.weight is None:
                message = f"weight normalisation of the edge `{edge.edge.name}` of `{child.name}` is not supported by this version of cgc"
                why = "what is left of this edge is no matrix of which each row is the weights of one node"
                yield Diagnostic("CG608", message, edge.edge.span, why=why, help="write `normalize: layer`, or `normalize: batch`")
            if kind == "convolution" and edge.edge.weight is None and spec.eval_inference.method == "moments":
                message = f"weight normalisation of a convolution under `moments` is not supported by this version of cgc: `{child.name}`"
                yield Diagnostic("CG608", message, edge.edge.span, help="evaluate by `feed_forward` or `sample`")
