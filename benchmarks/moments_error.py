"""How near evaluation by moments comes to the truth: random networks of binary nodes, three hidden layers of 8, against enumeration.

    python benchmarks/moments_error.py

Weights (and biases, where there are any) are N(0, g²/8), 120 networks for each g; the error is mean |E[y | x] found - E[y | x]|. Both
methods run on the same networks, and the truth is a sum over all 256 states of each layer. Writes results/moments_error.json; exits with
1 unless moments are at least 5 times nearer than feed-forward at g = 1.
"""

from __future__ import annotations

import importlib
import itertools
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import cgc

RESULTS = Path(__file__).parent / "results" / "moments_error.json"
SPEC = """cgc: 1
name: {name}
families: {{node: {{kind: binary, values: [{low}, 1]}}}}
components:
  x: {{role: input, nodes: 8, family: node}}
  h: {{nodes: 8, family: node, bias: {bias}, stack: 3, parents: {{x: dense}}}}
  y: {{role: output, nodes: 1, family: node, bias: {bias}, parents: {{h: dense}}}}
inference: {{eval: {{method: moments}}}}
"""
NETWORKS = 120


def emitted(folder: str, low: int, bias: bool) -> Any:
    """The emitted module for nodes with the states low and 1."""
    name = f"network_{low + 1}_{int(bias)}"
    spec = Path(folder) / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name, low=low, bias=str(bias).lower()), encoding="utf-8")
    cgc.compile(spec, output=folder)
    sys.path.insert(0, folder)
    return importlib.import_module(f"{name}.model")


def truth(model: Any, x: torch.Tensor, low: int) -> torch.Tensor:
    """E[y | x], layer by layer: P(h') is the sum over the states of h of P(h' | h) P(h)."""
    states = torch.tensor(list(itertools.product((float(low), 1.0), repeat=8)), dtype=torch.float64)
    below, share = x, torch.ones(1, dtype=torch.float64)
    for layer in model.h:
        e = below @ layer.x.weight.T + getattr(layer, "bias", 0)
        # P(x | e) is proportional to exp(e x)
        log_p = e[:, None, :] * states - torch.logaddexp(e * low, e)[:, None, :]
        below, share = states, share @ log_p.sum(-1).exp()
    e = below @ model.y.h.weight.T + getattr(model.y, "bias", 0)
    return share @ (low + (1 - low) * torch.sigmoid((1 - low) * e))


def errors(module: Any, low: int, g: float) -> tuple[float, float]:
    """Mean |error| of feed-forward and of moments."""
    found = []
    for seed in range(NETWORKS):
        model = module.Model().double().eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * g / math.sqrt(8))
            x = torch.randint(2, (1, 8), generator=generator).double() * (1 - low) + low
            exact = truth(model, x, low)
            found.append([(model.inference(m).expectation(x)[0] - exact).abs().mean() for m in ("feed_forward", "moments")])
    feed_forward, moments = torch.tensor(found).mean(0).tolist()
    return feed_forward, moments


def main() -> int:
    """Measure and print; 1 if the bar is missed."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for low, bias in ((-1, False), (-1, True), (0, False), (0, True)):
            module = emitted(folder, low, bias)
            for g in (0.25, 0.5, 1.0, 2.0, 4.0):
                first, second = errors(module, low, g)
                figures = {"feed_forward": float(f"{first:.3g}"), "moments": float(f"{second:.3g}")}
                rows.append({"states": [low, 1], "bias": bias, "g": g, **figures})
                print(f"states {low}, 1{', biases' if bias else '':9} g = {g:<5}", end="")
                print(f" feed-forward {first:.2e}  moments {second:.2e}  {first / second:5.1f} times less")
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return int(min(row["feed_forward"] / row["moments"] for row in rows if row["g"] == 1.0) < 5)


if __name__ == "__main__":
    sys.exit(main())
