"""Layers as sums of whatever edges: one class for layers that differ in the names and kinds of their edges."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.program.ir import Layer
from cgc.targets.torch.code import Function
from cgc.targets.torch.layers import Block, bias, finish, modules, needs_inference, normalisation
from cgc.targets.torch.maps import NO_MAPS, Maps
from cgc.targets.torch.terms import Terms

# what such a class calls its own
_TAKEN = ("self", "names", "levels", "edges", "parents", "refine", "terms", "maps", "nodes")


@dataclass(frozen=True)
class Summed(Block):
    """A block that is given its edges: ``given`` are its parameters beside what it is told, ``arguments`` those of one layer."""

    given: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    doc: str = ""


def layer_summed(
    layer: Layer,
    law: str,
    drawn: bool,
    timed: bool,
    moments: bool,
    levels: str | None = None,
    refined_how: bool = False,
    maps: Maps = NO_MAPS,
    at_once: bool = False,
) -> Summed | None:
    """The layer in this form, or None: its energy is a normalised sum of modules. ``levels`` refine it, as the text of a list;
    ``at_once``: there is a kernel that normalises energies and infers nodes."""
    plain = all(c.block is None and c.gate is None and not c.lag and c.own and c.name not in _TAKEN for c in layer.contributions)
    plain = plain and len({c.source for c in layer.contributions}) == len(layer.contributions)
    if moments or not plain or layer.normalised == "no" or layer.labels is not None or layer.last:
        return None
    parts: set[str] = set()
    made = [modules([c], parts) for c in layer.contributions]
    if any(len(lines) != 1 or Terms(layer).padded(c, "") for lines, c in zip(made, layer.contributions, strict=True)):
        return None
    edges = tuple(f"{c.name}={lines[0].partition(' = ')[2]}" for c, lines in zip(layer.contributions, made, strict=True))
    masked = timed and layer.over_batch
    terms = Terms(layer, not timed, maps, at_once)
    flat = terms.flat if any(c.product.kind == "convolution" for c in layer.contributions) else ""
    how = ("how: Inference",) if refined_how or needs_inference(layer, drawn, moments) else ()
    init = ["self.names = tuple(edges)", "for name, edge in edges.items():", "    self.add_module(name, edge)"]
    init += [*bias(layer), *normalisation(layer, parts)]
    lines = [f"terms = [getattr(self, name)(x){flat} for name, x in zip(self.names, parents, strict=True)]", "e = sum(terms[1:], terms[0])"]
    if levels is not None:
        init.append("self.refine = nn.ModuleList(levels)")
        lines += ["for level in self.refine:", f"    e = level(e{', how' if refined_how else ''})"]
    lines += finish(terms, terms.normalised("e", masked), law, drawn)
    extra = [*how, *(["valid: Tensor | None = None"] if masked else [])]
    signature = f"forward({', '.join(['self', '*parents: Tensor', *extra])}) -> Tensor"
    more = " + sum_k R_k(X̃_k)" if levels is not None else ""
    norm = "BN" if layer.groups is None else "LN" if layer.groups == 1 else "GN"
    doc = f"P(X | parents) = prod_i P(X_i | e_i),  e = {norm}(sum_p W_p ⋆ p{more}){' + b' if layer.bias is True else ''}"
    doc += "  (section 4.1)" if levels is not None else "  (eq. 2, 8)"
    given = (*(["levels: list[nn.Module]"] if levels is not None else []), "**edges: nn.Module")
    arguments = (*([levels] if levels is not None else []), *edges)
    return Summed(tuple(init), (Function(signature, tuple(lines)),), tuple(sorted(parts | terms.parts)), given, arguments, doc)
