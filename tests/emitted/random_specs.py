"""Random specs: valid by construction as far as a few rules go, in every combination that the language allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from hypothesis import strategies as st

GIVEN: tuple[dict[str, Any], ...] = (
    {"kind": "binary", "values": [0, 1]},
    {"kind": "binary", "values": [-1, 2]},
    {"kind": "categorical", "labels": 3},
    {"kind": "gaussian", "std": 1},
)
HIDDEN: tuple[dict[str, Any], ...] = (
    {"kind": "binary", "values": [-1, 1]},
    {"kind": "binary", "values": [0, 1]},
    {"kind": "categorical", "labels": 3, "reference_label": 1},
    {"kind": "categorical", "labels": 2},
    {"kind": "gaussian", "std": 0},
    {"kind": "gaussian", "std": 0.5},
    {"kind": "rectified_gaussian", "std": "tanh(e)", "emit": "relu"},
    {"kind": "rectified_gaussian", "std": 1},
    {"kind": "noise", "base": "logistic", "scale": 1, "value": "max(0, y)"},
    {"kind": "exponential_family", "support": [-1, 0, 2]},
    {"kind": "exponential_family", "support": [0, 1, 2], "statistic": "x**2", "base_measure": "1 + x"},
)
OUTPUT: tuple[dict[str, Any], ...] = (
    {"kind": "categorical", "labels": 4},
    {"kind": "categorical", "labels": 4, "reference_label": 0},
    {"kind": "categorical", "labels": 4, "reference_label": 2},
    {"kind": "categorical", "labels": 4, "reference_label": 3},
    {"kind": "binary", "values": [-1, 1]},
    {"kind": "gaussian", "std": 0.5},
    {"kind": "rectified_gaussian", "std": 1},
    {"kind": "exponential_family", "support": [-1, 0, 2]},
)
SHAPES = ([3], [2, 2], [1], [3], [4])
CONDITIONS = ("j != i", "j > i", "i // 2 != j // 2", "abs(i - j) > 1", "j == 0", "i + j < 2 or i == 2", "j % 2 == 1")


@dataclass
class Draft:
    """A spec while it is drawn: components by name, and which of them someone reads."""

    timed: bool
    components: dict[str, dict[str, Any]] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def labels(self, name: str) -> bool:
        return bool(self.components[name]["family"]["kind"] == "categorical")


@st.composite
def specs(draw: st.DrawFn) -> str:
    """The YAML text of a spec."""
    draft = Draft(draw(st.booleans()))
    inputs = [f"x{k}" for k in range(draw(st.integers(1, 2)))]
    hidden = [f"h{k}" for k in range(draw(st.integers(1, 4)))]
    outputs = [f"y{k}" for k in range(draw(st.sampled_from((1, 1, 1, 2))))]
    for name in inputs:
        family = draw(st.sampled_from(GIVEN))
        body = {"role": "input", "nodes": draw(st.sampled_from(SHAPES)), "family": family}
        if family["kind"] == "binary" and draw(st.booleans()):
            body["clamp"] = "soft"
        draft.components[name] = body
    for name in hidden:
        body = {"nodes": draw(st.sampled_from(SHAPES)), "family": draw(st.sampled_from(HIDDEN)), "parents": {}}
        draft.components[name] = body | {"bias": draw(st.sampled_from((True, True, False, 0.5)))}
    for name in outputs:
        body = {"role": "output", "nodes": draw(st.sampled_from(SHAPES)), "family": draw(st.sampled_from(OUTPUT)), "parents": {}}
        if draft.timed and draw(st.booleans()):
            body["at"] = "last"
        draft.components[name] = body
    for k, name in enumerate(hidden):
        _parents(draw, draft, name, inputs + hidden[:k], hidden)
    for name in outputs:
        _parents(draw, draft, name, inputs + hidden, hidden)
    for name in hidden:
        if name not in draft.read:
            draft.components[outputs[0]]["parents"].setdefault(name, "dense")
    document: dict[str, Any] = {"cgc": 1, "name": "random"}
    if draft.timed:
        document["time"] = {"steps": draw(st.integers(1, 4))}
    document["components"] = draft.components
    if draft.statements:
        document["independence"] = draft.statements
    method = draw(
        st.sampled_from(
            (
                {"method": "feed_forward"},
                {"method": "pcff", "sample_rate": 0.5},
                {"method": "pcff", "sample_rate": {hidden[0]: 0.5}},
                {"method": "sample", "gradient": "straight_through"},
            )
        )
    )
    document["inference"] = {"train": method}
    if draw(st.sampled_from((False, False, True))):
        document["inference"]["eval"] = {"method": "moments"}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _parents(draw: st.DrawFn, draft: Draft, name: str, before: list[str], hidden: list[str]) -> None:
    """Parents for ``name``: at least one of ``before``, which have their values first; with time, also the past of any."""
    body = draft.components[name]
    chosen = draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True))
    edges = {parent: [_edge(draw, draft, name, parent, 0)] for parent in chosen}
    if body.get("role") != "output":
        if draw(st.sampled_from((False, False, True))):
            body["stack"] = {"times": draw(st.integers(1, 3)), "input": chosen[0]}
            if body["nodes"] != draft.components[chosen[0]]["nodes"] or draft.labels(name):
                edges[chosen[0]] = ["dense"]
        over = {"over": draw(st.sampled_from(("inputs", "energy")))}
        kinds: list[Any] = ["batch", {"kind": "batch", **over}, {"kind": "layer", **over}]
        extents = body["nodes"] if isinstance(body["nodes"], list) else [body["nodes"]]
        kinds += [{"kind": "group", "groups": 2, **over}] if extents[0] % 2 == 0 and not draft.labels(name) else []
        kinds += ["weight"] if edges.get(chosen[0]) == ["dense"] else []
        normalize = draw(st.sampled_from((None, None, *kinds)))
        if normalize is not None:
            body["normalize"] = normalize
    if draft.timed:
        for parent in draw(st.lists(st.sampled_from([*before, *hidden]), max_size=2, unique=True)):
            if "stack" in body and parent == chosen[0]:
                continue
            lag = draw(st.sampled_from((1, 1, 2)))
            edges.setdefault(parent, []).append(_edge(draw, draft, name, parent, lag))
    for parent, items in edges.items():
        if len(items) > 1:
            items = [(item if isinstance(item, dict) else {"kind": item}) | {"name": f"{parent}_{n}"} for n, item in enumerate(items)]
        body["parents"][parent] = items if len(items) > 1 else items[0]
        if parent != name:
            draft.read.add(parent)


def _edge(draw: st.DrawFn, draft: Draft, name: str, parent: str, lag: int) -> Any:
    child, source = draft.components[name], draft.components[parent]
    alike = child["nodes"] == source["nodes"] and not draft.labels(name) and not draft.labels(parent)
    kind = draw(st.sampled_from(("dense", "elementwise", "identity"))) if alike else "dense"
    edge: dict[str, Any] = {"kind": kind}
    if kind != "identity" and draw(st.sampled_from((False, False, False, True))):
        edge["weight"] = draw(st.sampled_from((0.25, -1, 1)))
    elif kind != "identity" and draw(st.sampled_from((False, False, False, True))):
        edge["init"] = draw(st.sampled_from(({"kind": "normal", "std": 0.1}, {"kind": "uniform", "low": 0, "high": 1})))
    if not draft.labels(parent) and draw(st.sampled_from((False, False, True))):
        gate = draw(st.sampled_from(({"kind": "bernoulli", "keep_prob": 0.75}, {"kind": "gaussian", "std": 0.5})))
        edge["gate"] = gate | ({"share": "time"} if draft.timed and draw(st.booleans()) else {})
    if lag:
        edge["lag"] = lag
    plain = len(child["nodes"]) == 1 and len(source["nodes"]) == 1
    if kind == "dense" and plain and name != parent and draw(st.sampled_from((False, False, True))):
        condition = draw(st.sampled_from(CONDITIONS))
        time, past = (",t", f",t-{lag}" if lag else ",t") if draft.timed else ("", "")
        if child.get("at") == "last":
            return edge
        draft.statements.append(f"{name}[i{time}] ⟂ {parent}[j{past}] | parents  where {condition}")
    return edge if len(edge) > 1 else kind
