"""``cgc query`` as text and as data."""

from __future__ import annotations

from typing import Any

from cgc.graph.query import Answer, LayerAnswer
from cgc.graph.report import SHOWN, assumption
from cgc.report.text import row

NAMES = {"lwf": "LWF (Lauritzen, Wermuth, Frydenberg)", "amp": "AMP (Andersson, Madigan, Perlman)"}


def query_text(answer: Answer) -> str:
    """Yes or no, why, and when."""
    if answer.vacuous:
        return "yes, but it says nothing: at no time are there nodes that it could be about\n"
    failed = [found for found in answer.layers if not found.holds]
    lines = ["yes" if answer.holds else "sometimes" if answer.sometimes else "no"]
    lines[0] += (
        f", {answer.statement}" if answer.holds else f": {answer.statement} does not hold{'' if not answer.sometimes else ' at all times'}"
    )
    if answer.holds:
        lines.append(row("reason", ", ".join(dict.fromkeys(found.reason for found in answer.layers))))
    for found in failed[:SHOWN]:
        lines += _failure(found)
    if len(failed) > SHOWN:
        lines.append(row("", f"and {len(failed) - SHOWN} more layers in which it does not hold"))
    if not answer.holds and len(failed) < len(answer.layers):
        lines.append(row("", f"it holds in the other {len(answer.layers) - len(failed)} of {len(answer.layers)} layers"))
    lines += [row("times" if k == 0 else "", text) for k, text in enumerate(_times(answer) if answer.timed else ())]
    lines.append(row("property", NAMES[answer.markov] + ("; LWF = AMP here" if answer.flagless else "")))
    lines.append(row("inputs", assumption(answer.inputs)))
    return "\n".join(lines) + "\n"


def _failure(found: LayerAnswer) -> list[str]:
    layers = _layers(found)
    at = f" at {found.where}" if found.where else ""
    walk = f"{found.walk} is open{at}" if found.walk else f"a walk{at} is open that leads through the steps between"
    lines = [row(layers or "open walk", walk)]
    change = found.repair
    if sum(found.walk.count(step) for step in "→←—") == 1:
        lines.append(row("", "an edge joins the two: nothing that is given separates them"))
    elif change is None:
        lines.append(row("", "nothing was found that makes it hold at all times if it is given"))
    else:
        lines.append(row("", f"it holds if you {change} {'from' if change.remove and not change.add else 'to'} what is given"))
    if found.linked:
        lines.append(row("", "it would hold if the inputs were `independent: true`"))
    return lines


def _times(answer: Answer) -> list[str]:
    """When it holds, once for all layers of which the same can be said."""
    groups: dict[str, list[LayerAnswer]] = {}
    for found in answer.layers:
        groups.setdefault(str(found.times), []).append(found)
    if len(groups) == 1:
        return list(groups)
    return [f"{_layers(found[0])}{f' and {len(found) - 1} more' if len(found) > 1 else ''}: {text}" for text, found in groups.items()]


def _layers(found: LayerAnswer) -> str:
    return " with ".join(found.layers)


def query_data(answer: Answer) -> dict[str, Any]:
    """The whole answer; ``holds`` is about every layer, every t and every length."""
    return {
        "statement": str(answer.statement),
        "holds": answer.holds,
        "sometimes": answer.sometimes,
        "vacuous": answer.vacuous,
        "property": answer.markov,
        "lwf_is_amp": answer.flagless,
        "linked_inputs": list(answer.inputs),
        "layers": [_layer(found, answer.timed) for found in answer.layers],
    }


def _layer(found: LayerAnswer, timed: bool) -> dict[str, Any]:
    change = found.repair
    return {
        "layers": list(found.layers),
        "holds": found.holds,
        "reason": found.reason,
        "times": str(found.times) if timed else None,
        "walk": found.walk or None,
        "at": found.where or None,
        "holds_without_linked_inputs": found.linked,
        "repair": None if change is None else {"remove": list(change.remove), "add": list(change.add)},
    }
