"""PCFF nodes of many families, forward and backward: kernels beside the model's own plain torch, in one run, on one thread, in turn.

    python benchmarks/families.py            writes benchmarks/results/families_cpu.json

Both must have the same mean and variance, from enough draws, and the same values where nothing is drawn.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from kernels import ROOT, back, compare

from cgc import compiler

RESULTS = ROOT / "benchmarks" / "results" / "families_cpu.json"
FAMILIES = {
    "binary": "{kind: binary, values: [-1, 1]}",
    "rectified Gaussian": "{kind: rectified_gaussian, std: 0.5}",
    "truncated Gaussian": "{kind: truncated_gaussian, std: 0.5}",
    "tilted uniform": "{kind: tilted_uniform, interval: [-1, 1]}",
    "gamma of shape 2.5": "{kind: gamma, shape: 2.5}",
    "beta of concentration 4": "{kind: beta, concentration: 4}",
    "Poisson": "{kind: poisson}",
    "negative binomial of 3": "{kind: negative_binomial, successes: 3}",
    "binomial of 20": "{kind: binomial, trials: 20}",
    "binomial of 1000": "{kind: binomial, trials: 1000}",
    "tanh(e + normal noise)": "{kind: noise, base: normal, value: tanh(y)}",
    "exp(e x - x⁴), x real": "{kind: density, support: reals, log_density: e*x - x**4}",
    "exp(e x)/x!², x = 0, 1, …": "{kind: exponential_family, support: nonnegative_integers, base_measure: 1/factorial(x)**2}",
}
SPEC = """cgc: 1
name: family_NUMBER
families: {node: FAMILY}
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  h: {nodes: 4, family: node, parents: {x: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, parents: {h: dense}}
"""
RATE = 0.3


def row(name: str, number: int, folder: Path) -> dict[str, Any]:
    """One family, (32, 1024) nodes."""
    (folder / "spec.yaml").write_text(SPEC.replace("NUMBER", str(number)).replace("FAMILY", FAMILIES[name]))
    compiler.compile(folder / "spec.yaml", output=folder)
    package: Any = importlib.import_module(f"family_{number}")
    model, kernels = package.model, package.kernels
    assert kernels.library() is not None
    e, g = torch.randn(32, 1024).requires_grad_(), torch.randn(32, 1024)
    law = model.Node()

    def inferred(with_kernels: bool, rate: float = RATE) -> torch.Tensor:
        model.kernels = kernels if with_kernels else None
        found: torch.Tensor = model.Inference(rate)(law, e)
        return found

    torch.testing.assert_close(inferred(True, 0.0), inferred(False, 0.0), rtol=1e-4, atol=1e-5)
    ours, theirs = (torch.stack([inferred(kind).detach() for _ in range(12)]).double() for kind in (True, False))
    for power in (1, 2):
        a, b = ours**power, theirs**power
        assert abs(a.mean() - b.mean()) < 5 * (a.var() + b.var()).sqrt() / a.numel() ** 0.5, name
    count = 15 if name in list(FAMILIES)[:10] else 5
    return compare(name, back(lambda: inferred(True), g, e), back(lambda: inferred(False), g, e), "-", count)


def gates(folder: Path) -> list[dict[str, Any]]:
    """Features behind dropout nodes, beside the model's plain torch and beside torch's dropout, which is the same but for a factor."""
    text = SPEC.replace("NUMBER", "gated").replace("FAMILY", FAMILIES["binary"])
    (folder / "spec.yaml").write_text(text.replace("{h: dense}", "{h: {kind: dense, gate: {kind: bernoulli, keep_prob: 0.5}}}"))
    compiler.compile(folder / "spec.yaml", output=folder)
    package: Any = importlib.import_module("family_gated")
    model, kernels = package.model, package.kernels
    assert kernels.library() is not None
    x, g = torch.randn(32, 1024).requires_grad_(), torch.randn(32, 1024)

    def behind(with_kernels: bool) -> torch.Tensor:
        model.kernels = kernels if with_kernels else None
        found: torch.Tensor = model.Inference().behind("bernoulli", x, 0.5)
        return found

    ways = {"plain torch": lambda: behind(False), "torch's dropout": lambda: torch.dropout(x, 0.5, True)}
    for name, way in {"ours": lambda: behind(True), **ways}.items():
        kept = torch.stack([way().detach() != 0 for _ in range(12)]).double()
        assert abs(kept.mean() - 0.5) < 5 * 0.5 / kept.numel() ** 0.5, name
    ours = behind(True).detach()
    assert torch.equal(ours, torch.where(ours == 0, 0.0, x.detach()))
    return [compare(f"dropout nodes: {name}", back(lambda: behind(True), g, x), back(way, g, x), "-", 41) for name, way in ways.items()]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        rows = [row(name, number, Path(folder)) for number, name in enumerate(FAMILIES)]
        rows += gates(Path(folder))
    found = {"torch": torch.__version__, "machine": platform.machine(), "threads": 1, "rate": RATE, "rows": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
