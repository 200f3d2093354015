"""The priors of weights as ``train.py`` prints them: one for all weights, others for single ones by their state-dict keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cgc.program.ir import Contribution, Program
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
    keyed = [(*_numbered(_key(c)), _tuple(its)) for _, c, its in own if c.own]
    return PriorContext(None, _tuple(prior) if prior else "", tuple(_lines(keyed)), kinds, ending)


def _key(c: Contribution) -> str:
    return f"{c.weight}.{'parametrizations.weight.original0' if c.product.weight_norm else 'weight'}"


def _numbered(key: str) -> tuple[str, int]:
    """A key with its first number of a copy left open, and that number (-1: there is none)."""
    words = key.split(".")
    place = next((k for k, word in enumerate(words) if word.isdecimal()), None)
    if place is None:
        return key, -1
    return ".".join([*words[:place], "{k}", *words[place + 1 :]]), int(words[place])


def _lines(keyed: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    """One line for each weight; one for all copies that are alike."""
    by_key = sorted(dict.fromkeys((pattern, text, number) for pattern, number, text in keyed))
    for (pattern, text), same in groupby(by_key, key=lambda one: one[:2]):
        numbers = [number for *_, number in same]
        if len(numbers) > 1 and numbers == list(range(len(numbers))):
            yield f'**{{f"{pattern}": {text} for k in range({len(numbers)})}},'
        else:
            yield from ('"' + pattern.replace("{k}", str(number)) + f'": {text},' for number in numbers)


def _tuple(prior: Prior) -> str:
    return f'("{prior.kind}", {", ".join(repr(number) for number in prior.numbers)})'
