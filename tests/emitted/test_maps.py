"""Components on grids keep the shape of their maps between convolutions, whoever else reads them: flat parents and children, gates,
copies of themselves, pools, modules, stacks and refinements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from packages import ROOT, Package, emit
from test_random_specs import agrees_with_the_interpreter, answers, inputs_of, names_and_shapes, trains

from cgc.source.diagnostics import SpecError

LAWS: tuple[dict[str, Any], ...] = (
    {"kind": "rectified_gaussian", "std": "tanh(e)", "emit": "relu"},
    {"kind": "binary", "values": [0, 1]},
    {"kind": "gaussian", "std": 0},
    {"kind": "gaussian", "std": 1},
    {"kind": "categorical", "labels": 2},
)
SHAPES: tuple[list[int], ...] = ([2, 4, 4], [4, 4, 4], [2, 2, 2], [2, 4], [6])


def windows(child: list[int], parent: list[int]) -> list[dict[str, Any]]:
    """Convolutions and pools between grids, as short forms."""
    n = len(child) - 1
    if len(parent) != len(child) or n == 0:
        return []
    found: list[dict[str, Any]] = []
    same, half = child[1:] == parent[1:], [2 * c for c in child[1:]] == parent[1:]
    if same:
        found += [{"kind": f"conv{n}d", "kernel_size": 3, "padding": 1}, {"kind": f"conv{n}d", "kernel_size": 1}]
        found += [{"kind": "avg_pool", "kernel_size": 3, "stride": 1, "padding": 1}] if child[0] == parent[0] else []
    if half:
        found += [{"kind": f"conv{n}d", "kernel_size": 3, "stride": 2, "padding": 1}]
        found += [{"kind": "avg_pool", "kernel_size": 2, "stride": 2}] if child[0] == parent[0] else []
    return found


@st.composite
def networks(draw: st.DrawFn) -> str:
    """The YAML text of a feed-forward spec, most of whose components are on grids."""
    components: dict[str, dict[str, Any]] = {
        "x": {"role": "input", "nodes": draw(st.sampled_from(SHAPES)), "family": {"kind": "gaussian", "std": 1}}
    }
    for k in range(draw(st.integers(2, 5))):
        name, before = f"h{k}", list(components)
        body: dict[str, Any] = {"nodes": draw(st.sampled_from(SHAPES)), "family": draw(st.sampled_from(LAWS)), "parents": {}}
        labels = body["family"]["kind"] == "categorical"
        # the last ones are read, so that nothing is left unread
        chosen = list(dict.fromkeys([before[-1], *draw(st.lists(st.sampled_from(before), max_size=2))]))
        for parent in chosen:
            body["parents"][parent] = edge = _edge(draw, components[parent], body)
            gates = [
                other
                for other in before
                if components[other]["family"].get("values") == [0, 1] and components[other]["nodes"] == components[parent]["nodes"]
            ]
            if components[parent]["family"]["kind"] == "categorical":
                continue
            if gates and draw(st.booleans()):
                edge["gate"] = {"component": draw(st.sampled_from(gates)), "open": draw(st.sampled_from((0, 1)))}
            elif draw(st.sampled_from((False, False, True))):
                edge["gate"] = {"kind": "bernoulli", "keep_prob": 0.5}
        if not labels:
            kinds: list[Any] = [None, "batch", "batch", "layer"]
            kinds += [{"kind": "group", "groups": 2}] if body["nodes"][0] % 2 == 0 else []
            body |= {"normalize": kind} if (kind := draw(st.sampled_from(kinds))) is not None else {}
        first = body["parents"][chosen[0]]
        if body["nodes"] == components[chosen[0]]["nodes"] and not labels and "gate" not in first and draw(st.booleans()):
            body["stack"] = {"times": draw(st.integers(1, 3)), "input": chosen[0]}
        components[name] = body
    components["y"] = {"role": "output", "nodes": 2, "family": {"kind": "gaussian", "std": 1}, "parents": {}}
    for parent in dict.fromkeys([list(components)[-2], draw(st.sampled_from(list(components)[:-1]))]):
        components["y"]["parents"][parent] = {"kind": "dense"}
    document: dict[str, Any] = {"cgc": 1, "name": "maps", "components": components}
    refined = [name for name, body in components.items() if name.startswith("h") and "stack" not in body and body["family"] == LAWS[0]]
    if refined and draw(st.booleans()):
        name = draw(st.sampled_from(refined))
        z = {"nodes": draw(st.sampled_from(SHAPES)), "family": LAWS[0], "parents": {}}
        z["parents"]["previous"] = _edge(draw, components[name], z)
        back = _edge(draw, z, components[name])
        document["refine"] = {name: {"times": draw(st.integers(1, 2)), "through": {"z": z}, "back": back}}
    document["inference"] = {"train": {"method": "pcff", "sample_rate": 0.5}}
    return yaml.safe_dump(document, sort_keys=False)


def _edge(draw: st.DrawFn, parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [{"kind": "dense"}]
    if "categorical" not in (parent["family"]["kind"], child["family"]["kind"]):
        kinds += 3 * windows(child["nodes"], parent["nodes"])
        if child["nodes"] == parent["nodes"]:
            kinds += [{"kind": "identity"}, {"kind": "elementwise"}]
    return dict(draw(st.sampled_from(kinds)))


@pytest.mark.parametrize("examples", [pytest.param(40, id="some"), pytest.param(600, id="many", marks=pytest.mark.slow)])
def test_graphs_of_maps(tmp_path: Path, examples: int) -> None:
    texts: list[str] = []

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(networks())
    def sound(text: str) -> None:
        note(text)
        try:
            package = emit(tmp_path, text)
        except SpecError as error:
            texts.append("")
            assert error.diagnostics
            return
        texts.append((package.folder / "model.py").read_text(encoding="utf-8"))
        names_and_shapes(package)
        agrees_with_the_interpreter(package)
        trains(package)
        answers(package)
        draws(package)

    sound()
    assert sum(map(bool, texts)) > 0.7 * len(texts)
    assert sum("Conv2d(" in text and ".flatten(1), how)" in text for text in texts) > 0.05 * len(texts)


def draws(package: Package) -> None:
    """Several draws at once go through the network as rows."""
    model, given = package.model(), inputs_of(package)
    model.inference("sample", samples=3, training=False)
    assert model.energies(**given).shape[:2] == (3, 5)


HEAD = """cgc: 1
name: found
families: {spin: {kind: binary, values: [-1, 1]}, bit: {kind: binary, values: [0, 1]}, linear: {kind: gaussian, std: 0}}
components:
  x: {role: input, nodes: [2, 4, 4], family: {kind: gaussian, std: 1}}
"""
C1, C3 = "{kind: conv2d, kernel_size: 1}", "{kind: conv2d, kernel_size: 3, padding: 1}"
FOUND = {
    "a refined layer of single places, whose bias is one of nodes": f"""
  h: {{nodes: [2, 1, 1], family: spin, parents: {{x: {{kind: conv2d, kernel_size: 4}}}}}}
  p: {{nodes: 2, family: linear, bias: false, parents: {{h: {{kind: avg_pool, kernel_size: all}}}}}}
  y: {{role: output, nodes: 1, family: spin, parents: {{p: dense}}}}
refine: {{h: {{times: 2, through: {{z: {{nodes: [2, 1, 1], family: spin, bias: false, parents: {{previous: {C1}}}}}}}, back: {C1}}}}}
""",
    "a refined layer whose first edge adds no bias": f"""
  a: {{nodes: [2, 4, 4], family: spin, parents: {{x: {C3}}}}}
  h: {{nodes: [2, 4, 4], family: spin, parents: {{a: identity, x: {C3}}}}}
  y: {{role: output, nodes: 1, family: spin, parents: {{h: dense}}}}
refine: {{h: {{times: 1, through: {{z: {{nodes: [2, 4, 4], family: spin, parents: {{previous: {C3}}}}}}}, back: {C3}}}}}
""",
    "a pool behind a gate": f"""
  h: {{nodes: [3, 4, 4], family: spin, parents: {{x: {C3}}}}}
  p: {{nodes: 3, family: spin, parents: {{h: {{kind: avg_pool, kernel_size: all, gate: {{kind: bernoulli, keep_prob: 0.5}}}}}}}}
  y: {{role: output, nodes: 1, family: spin, parents: {{p: dense}}}}
""",
    "a pool beside a dense edge": f"""
  h: {{nodes: [3, 4, 4], family: spin, parents: {{x: {C3}}}}}
  p: {{nodes: 3, family: spin, parents: {{h: [{{kind: avg_pool, kernel_size: all, name: a}}, {{kind: dense, name: b}}]}}}}
  y: {{role: output, nodes: 1, family: spin, parents: {{p: dense}}}}
""",
    "a pool of what is a gate too": f"""
  h: {{nodes: [3, 4, 4], family: bit, parents: {{x: {C3}}}}}
  g: {{nodes: [3, 4, 4], family: spin, parents: {{x: {C3}}}}}
  p: {{nodes: 3, family: spin, parents: {{h: {{kind: avg_pool, kernel_size: all}}, g: {{kind: dense, gate: {{component: h, open: 1}}}}}}}}
  y: {{role: output, nodes: 1, family: spin, parents: {{p: dense}}}}
""",
    "statistics of rows of maps": """
  h: {nodes: [3, 4, 4], family: spin, normalize: batch, parents: {x: dense}}
  y: {role: output, nodes: 1, family: spin, parents: {h: dense}}
independence:
  - h[c,r,s] ⟂ x[d,u,v] | parents  where abs(r - u) > 1 or abs(s - v) > 1
sharing:
  - h[c,r,s] <- x[d,u,v]  by c, d, u - r, v - s
  - h[c,r,s]  by c, r
""",
    "sums in one class, of which one reads a parent twice": """
  a: {nodes: 3, family: spin, normalize: batch, parents: {x: dense}}
  b: {nodes: 3, family: spin, normalize: batch, parents: {x: [{kind: dense, name: p}, {kind: dense, name: q}]}}
  c: {nodes: 4, family: spin, normalize: batch, parents: {a: dense, b: dense}}
  d: {nodes: 4, family: spin, normalize: batch, parents: {c: dense, a: dense}}
  y: {role: output, nodes: 1, family: spin, parents: {d: dense}}
""",
    "sums in one class, of which one has the weight of another": """
  a: {nodes: 3, family: spin, normalize: batch, parents: {x: dense}}
  b: {nodes: 3, family: spin, normalize: batch, parents: {a: dense}}
  c: {nodes: 4, family: spin, normalize: batch, parents: {a: dense, b: dense}}
  d: {nodes: 3, family: spin, normalize: batch, parents: {x: {kind: dense, weight: {same_as: a.x}}}}
  y: {role: output, nodes: 1, family: spin, parents: {c: dense, d: dense}}
""",
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_wrong_once(tmp_path: Path, name: str) -> None:
    package = emit(tmp_path, HEAD + FOUND[name].removeprefix("\n"))
    names_and_shapes(package)
    agrees_with_the_interpreter(package)
    trains(package)
    answers(package)


@pytest.mark.parametrize("name", ["conv", "inception", "resnet", "resnet20_cifar10"])
def test_nothing_is_reshaped_between_convolutions(name: str) -> None:
    text = (ROOT / "generated" / name / "model.py").read_text(encoding="utf-8")
    assert [line.strip() for line in text.splitlines() if ".flatten(1)" in line] == ["x = x.flatten(1)"]
    assert ".mean((2, 3))" in text and "mean_over" not in text and text.count(".reshape(") == 1  # of the input
