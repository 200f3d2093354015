"""What a normalisation does to the density of nodes, in words and as a formula."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cgc.program.ir import Layer, Stage
from cgc.program.loops import loop_around, normalised_in_steps
from cgc.report.formula import Formula, over, plain, subscript, symbol
from cgc.spec.model import Component, Normalisation

NAMES = {"batch": "BN", "layer": "LN", "group": "GN"}


def called(normalize: Normalisation) -> Formula:
    """The short name of a normalisation in formulas."""
    return plain(NAMES[normalize.kind], rf"\mathrm{{{NAMES[normalize.kind]}}}")


def normaliser(normalize: Normalisation, scales: tuple[str | Formula, ...], nodes: tuple[str, ...]) -> Formula:
    """What the normalised sums ``u`` become: less their mean over the batch, or over the nodes of a group, and so on.

    ``scales`` and ``nodes`` are the indices of scales and of nodes.
    """
    scale = symbol("g", "", *scales)
    space = plain(" ", r" \, ")
    if normalize.kind == "weight":
        of = subscript(scales)
        return plain("W") + of + plain(" = ") + scale + space + plain("v") + of + plain(" / |v") + of + plain("|, edge by edge")
    if normalize.kind == "batch":
        mean = Formula("(u - mean u) / sqrt(var u + eps)", r"(u - \mathrm{mean} \, u) / \sqrt{\mathrm{var} \, u + \epsilon}")
        return called(normalize) + subscript(scales) + plain("(u) = ") + scale + space + mean
    others = tuple("l" if name == "k" else f"j{name[1:]}" for name in nodes)
    own, other = (plain("u") + subscript(letters) for letters in (nodes, others))
    mean, variance = (
        Formula(over(word, others).text, rf"\mathrm{{{word}}}{subscript(others).latex} \, ") + other for word in ("mean", "var")
    )
    root = plain("sqrt(", r"\sqrt{") + variance + plain(" + eps)", r" + \epsilon}")
    fraction = plain("(") + own + plain(" - ") + mean + plain(") / ") + root
    where = plain(", j in the group of i", r", \; j \text{ in the group of } i") if normalize.groups > 1 else plain("")
    return called(normalize) + subscript(nodes) + plain("(u) = ") + scale + space + fraction + where


def normalisation_lines(component: Component, layer: Layer, stages: Sequence[Stage]) -> Iterator[str]:
    """What is normalised, and what it means for the graph. ``stages`` are the program's."""
    normalize = component.normalize
    if normalize is None:
        return
    if normalize.kind == "weight":
        kept = [c.name for c in layer.contributions if not c.product.weight_norm]
        yield "weight normalisation: W = g v / |v|, one length g for each node or map (Salimans and Kingma 2016)"
        if kept:
            yield f"{', '.join(kept)}: as it is, since a single weight or a fixed one has no direction"
        return
    what = "the parents without lag; its shift is the bias" if normalize.over == "inputs" else "the whole energy"
    groups = f", in {normalize.groups} groups of nodes" if normalize.kind == "group" else ""
    yield f"{normalize.kind} normalisation of {what}{groups}"
    if normalize.kind == "batch" and normalised_in_steps(layer, loop_around(layer.name, stages)):
        yield "mean and variance are those of one step, over the batch: the next step waits for it"
        yield "evaluation has their running averages, to which every step adds: late steps count most"
    if normalize.kind != "batch":
        parents = "parents" if normalize.over == "energy" else "parents without lag"
        yield f"every node depends on the {parents} of all nodes{' of its group' if normalize.groups > 1 else ''}"
