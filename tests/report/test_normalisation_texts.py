"""What is printed of normalisations: formulas, what they do to the graph, and what changes between two specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgc.compiler import Model, inspect
from cgc.report.data import as_data
from cgc.report.diff import diff_text, difference
from cgc.report.text import report

SPEC = """cgc: 1
name: printed
families: {spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: [2, 6], family: spin}
  h: {nodes: [4, 6], family: spin, normalize: NORMALIZE, parents: {x: {kind: conv1d, kernel_size: 3, padding: 1}}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, normalize: OUTPUT, parents: {h: dense}}
"""


def model(folder: Path, normalize: str, output: str = "batch") -> Model:
    place = folder / "spec.yaml"
    place.write_text(SPEC.replace("NORMALIZE", normalize).replace("OUTPUT", output), encoding="utf-8")
    return inspect(place)


@pytest.mark.parametrize(
    ("normalize", "lines"),
    [
        (
            "{kind: group, groups: 2, over: energy}",
            [
                "GN[i0,i1](u) = g[i0] (u[i0,i1] - mean_{j0,j1} u[j0,j1]) / sqrt(var_{j0,j1} u[j0,j1] + eps), j in the group of i",
                "energy        group normalisation of the whole energy, in 2 groups of nodes",
                "every node depends on the parents of all nodes of its group",
            ],
        ),
        (
            "layer",
            [
                "LN[i0,i1](u) = g[i0] (u[i0,i1] - mean_{j0,j1} u[j0,j1]) / sqrt(var_{j0,j1} u[j0,j1] + eps)",
                "energy        layer normalisation of the parents without lag; its shift is the bias",
                "every node depends on the parents without lag of all nodes",
                "the moral graph joins the parents of h[i0,i1]: x[:,:]",
            ],
        ),
        ("weight", ["W[i0] = g[i0] v[i0] / |v[i0]|, edge by edge", "h.x.parametrizations.weight.original0 [4, 1, 1]"]),
        ("batch", ["BN[i0](u) = g[i0] (u - mean u) / sqrt(var u + eps)", "stands for    h[c,r] ⟂ x[d,u] | parents  where "]),
    ],
)
def test_inspect(tmp_path: Path, normalize: str, lines: list[str]) -> None:
    text = report(model(tmp_path, normalize))
    assert [line for line in lines if line not in text] == []
    assert (" ⟂ " in text) == (normalize in ("batch", "weight"))


@pytest.mark.parametrize(("over", "in_steps"), [("energy", True), ("inputs", False)])
def test_batch_statistics_of_one_step_are_told(tmp_path: Path, over: str, in_steps: bool) -> None:
    place = tmp_path / "spec.yaml"
    text = """cgc: 1
name: s
families: {spin: {kind: binary, values: [-1, 1]}}
time: {steps: 4}
components:
  x: {role: input, nodes: 2, family: spin}
  h: {nodes: 3, family: spin, normalize: {kind: batch, over: OVER}, parents: {x: dense, h: {kind: dense, lag: 1}}}
  y: {role: output, nodes: 2, family: spin, parents: {h: dense}}
"""
    place.write_text(text.replace("OVER", over), encoding="utf-8")
    assert ("mean and variance are those of one step, over the batch" in report(inspect(place))) == in_steps


def test_labels_are_normalised_with_nodes(tmp_path: Path) -> None:
    text = report(model(tmp_path, "batch", "layer"))
    assert "LN[k](u) = g[k] (u[k] - mean_l u[l]) / sqrt(var_l u[l] + eps)" in text


def test_latex_has_no_stray_signs(tmp_path: Path) -> None:
    text = report(model(tmp_path, "layer"), latex=True)
    assert (
        r"\mathrm{LN}_{i_{0},i_{1}}(u) = g_{i_{0}} \, (u_{i_{0},i_{1}} - \mathrm{mean}_{j_{0},j_{1}} \, u_{j_{0},j_{1}}) / \sqrt{" in text
    )


def test_diff_and_data(tmp_path: Path) -> None:
    before, after = model(tmp_path, "batch"), model(tmp_path, "{kind: group, groups: 2, over: energy}")
    text = diff_text(difference(before, after))
    assert "component  h  normalisation: batch, inputs -> group, energy, 2 groups" in text
    assert "h[i0,i1] ⟂ x[j0,j1] | parents where" in text and "holds in printed: no, held in printed: yes" in text
    (layer,) = (found for found in as_data(after)["layers"] if found["name"] == "h")
    assert (layer["normalised"], layer["groups"], layer["weight_norm"]) == ("energy", 2, [])
    assert as_data(model(tmp_path, "weight"))["layers"][0]["weight_norm"] == ["x"]
