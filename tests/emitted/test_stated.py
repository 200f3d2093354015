"""Short forms and the statements they stand for are one thing: the same model, byte for byte below its header."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from packages import SPECS

from cgc.compiler import Model, inspect
from cgc.graph.stated import stated, stated_biases

STATED = """cgc: 1
extends: conv.yaml
name: conv
components:
  h1: {parents: {x: dense}}
independence:
  - h1[c,r,s] ⟂ x[d,u,v] | parents  where abs(r - u) > 1 or abs(s - v) > 1
sharing:
  - h1[c,r,s] <- x[d,u,v]  by c, d, u - r, v - s
  - h1[c,r,s]  by c
"""


def emitted(model: Model) -> dict[str, bytes]:
    """model.py below its header, and the kernels."""
    files = {path: data for path, data in dict(model.bundle().files).items() if path == "model.py" or path.startswith("kernels/")}
    files["model.py"] = files["model.py"][files["model.py"].index(b'"""\n\n') :]
    return files


def test_three_lines_are_a_convolution(tmp_path: Path) -> None:
    (tmp_path / "conv.yaml").write_text((SPECS / "conv.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "conv_stated.yaml").write_text(STATED, encoding="utf-8")
    short, long = inspect(tmp_path / "conv.yaml"), inspect(tmp_path / "conv_stated.yaml")
    assert emitted(short) == emitted(long)
    for line in STATED.splitlines()[-4:]:
        if line.startswith("  - "):
            (tmp_path / "conv_stated.yaml").write_text(
                STATED.replace(line, "  - h1[c,r,s] ⟂ x[d,u,v] | parents  where c < 0") if "⟂" in line else STATED.replace(line + "\n", ""),
                encoding="utf-8",
            )
            assert emitted(inspect(tmp_path / "conv_stated.yaml")) != emitted(short), "every line counts"


def restated(text: str, folder: Path, means: dict[str, float] | None = None) -> tuple[Model, Model]:
    """The model of a spec, and of the same with every short form replaced by what it stands for; ``means`` are weights of poolings."""
    place = folder / "short.yaml"
    place.write_text(text, encoding="utf-8")
    short = inspect(place)
    document: dict[str, Any] = yaml.safe_load(text)
    independence, sharing = document.setdefault("independence", []), document.setdefault("sharing", [])
    for part in short.graph.parts:
        for edge in part.edges:
            lines = stated(part, short.graph.part(edge.source), edge, short.graph.timed)
            independence += [line for line in lines if "⟂" in line]
            sharing += [line for line in lines if "<-" in line]
        sharing += stated_biases(part, short.graph.timed)
    for name, body in document["components"].items():
        for parent, edge in body.get("parents", {}).items():
            body["parents"][parent] = _dense(edge, (means or {}).get(name))
    (folder / "long.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return short, inspect(folder / "long.yaml")


def _dense(edge: Any, mean: float | None) -> Any:
    """The edge with its kind left out, and the fixed weight that the kind implies."""
    if isinstance(edge, list):
        return [_dense(item, mean) for item in edge]
    fields = edge if isinstance(edge, dict) else {"kind": edge}
    fixed = {"identity": {"weight": 1}, "avg_pool": {"weight": mean}}.get(fields["kind"], {})
    return {"kind": "dense", **fixed, **{name: fields[name] for name in ("name", "lag", "gate", "weight", "init") if name in fields}}


SHORT = """cgc: 1
name: short
time: {steps: 4}
families: {node: {kind: binary, values: [-1, 1]}, linear: {kind: gaussian, std: 0}}
components:
  x: {role: input, nodes: [2, 9], family: node}
  a:
    nodes: [4, 9]
    family: node
    normalize: batch
    parents: {x: {kind: conv1d, kernel_size: 3, padding: 1, groups: 2}, a: {kind: elementwise, lag: 1}}
  b: {nodes: [6, 4], family: node, parents: {a: FIRST, b: {kind: identity, lag: 2}}}
  y: {role: output, nodes: 3, family: {kind: gaussian, std: 1}, parents: {b: dense}}
"""


@pytest.mark.parametrize(
    "first", ["{kind: conv1d, kernel_size: 4, stride: 2, padding: 1}", "{kind: conv1d, kernel_size: 2, stride: 2, padding: 1, dilation: 3}"]
)
def test_every_short_form_is_its_statements(tmp_path: Path, first: str) -> None:
    text = SHORT.replace("FIRST", first)
    short, long = restated(text, tmp_path)
    assert emitted(short) == emitted(long)
    assert not {edge.edge.kind for part in long.graph.parts for edge in part.edges} - {"dense"}


def test_random_convolutions_and_poolings(tmp_path: Path) -> None:
    rng = random.Random(2)
    done = 0
    while done < 25:
        kernel, stride, padding, dilation = rng.randrange(1, 4), rng.randrange(1, 3), rng.randrange(2), rng.randrange(1, 3)
        pool, where = rng.randrange(2, 4), rng.randrange(7, 11)
        places = (where + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        pooled = (places - pool) // pool + 1
        if padding > dilation * (kernel - 1) or places < 3 or pooled < 2 or dilation * (kernel - 1) >= where:
            continue
        done += 1
        maps, groups = rng.randrange(1, 4), rng.choice((1, 2))
        text = f"""cgc: 1
name: short
families: {{node: {{kind: binary, values: [-1, 1]}}, linear: {{kind: gaussian, std: 0}}}}
components:
  x: {{role: input, nodes: [2, {where}, {where}], family: node}}
  a:
    nodes: [{groups * maps}, {places}, {places}]
    family: node
    parents:
      x: {{kind: conv2d, kernel_size: {kernel}, stride: {stride}, padding: {padding}, dilation: {dilation}, groups: {groups}}}
  p: {{nodes: [{groups * maps}, {pooled}, {pooled}], family: linear, parents: {{a: {{kind: avg_pool, kernel_size: {pool}}}}}}}
  q: {{nodes: {groups * maps}, family: linear, bias: false, parents: {{p: {{kind: avg_pool, kernel_size: all}}}}}}
  y: {{role: output, nodes: {groups * maps}, family: node, parents: {{q: dense}}}}
"""
        # a pooling's weight is one over the nodes of its window
        short, long = restated(text, tmp_path, {"p": 1 / pool**2, "q": 1 / pooled**2})
        assert emitted(short) == emitted(long), text
