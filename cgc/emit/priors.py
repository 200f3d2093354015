"""The priors of weights as ``train.py`` prints them: one for all weights, others for single ones by their state-dict keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from cgc.program.ir import Program
from cgc.spec.model import Prior


@dataclass(frozen=True)
class PriorContext:
    """What ``torch/training/priors.py.jinja`` prints.

    ``decay`` is the precision of a Gaussian prior on all weights, where there is no other. Else ``every`` is the prior of all weights as
    a tuple (empty: none), and ``single`` are lines of a mapping from keys to such tuples. ``kinds`` are those that occur. ``ending`` is
    what the names of weights end with: weight normalisation learns their lengths under another name.
    """

    decay: float | None = None
    every: str = ""
    single: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    ending: str = '".weight"'


def prior_context(prior: Prior | None, program: Program | None) -> PriorContext:
    """``prior`` is that of all weights; those of single ones are in the program."""
    contributions = [(layer, c) for layer in program.layers() for c in layer.contributions] if program else []
    normed = any(c.product.weight_norm for _, c in contributions)
    ending = '(".weight", ".original0")' if normed else '".weight"'
    own = [(layer, c, c.product.prior) for layer, c in contributions if c.product.prior is not None]
    kinds = tuple(dict.fromkeys(p.kind for p in (*([prior] if prior else []), *(p for _, _, p in own))))
    if prior is not None and kinds == ("gaussian",) and not own:
        return PriorContext(prior.precision, kinds=kinds, ending=ending)
    keyed: list[tuple[str, str | None, str, int]] = []
    for layer, c, its in own:
        name = f"{c.name}.{'parametrizations.weight.original0' if c.product.weight_norm else 'weight'}"
        keyed.append((layer.component, name, _tuple(its), -1 if layer.index is None else layer.index))
    return PriorContext(None, _tuple(prior) if prior else "", tuple(_lines(keyed)), kinds, ending)


def _lines(keyed: list[tuple[str, str | None, str, int]]) -> Iterator[str]:
    """One line for each weight; one for all layers of a stack that are alike."""
    for (component, name, text), same in groupby(sorted(keyed), key=lambda one: one[:3]):
        layers = [index for *_, index in same]
        if layers == [-1]:
            yield f'"{component}.{name}": {text},'
        elif len(layers) > 1 and layers == list(range(len(layers))):
            yield f'**{{f"{component}.{{k}}.{name}": {text} for k in range({len(layers)})}},'
        else:
            yield from (f'"{component}.{layer}.{name}": {text},' for layer in layers)


def _tuple(prior: Prior) -> str:
    return f'("{prior.kind}", {", ".join(repr(number) for number in prior.numbers)})'
