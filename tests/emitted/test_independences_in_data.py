"""Draws from emitted models obey what the graph implies: conditional-independence tests reject at their nominal rate, and no more.

Every node is drawn given its parents (`sample` in the emitted module, hidden nodes as the layers hand them on), and statements that
`cgc independences` prints are tested node by node: by G-tests within the strata of what is given, by partial correlations for Gaussians.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from packages import Package, emit
from torch import Tensor

from cgc.graph.binding import Names, bind
from cgc.graph.independences import Independences
from cgc.graph.sample import Node
from cgc.graph.statement import parse
from cgc.graph.template import with_gates
from cgc.graph.verdict import Question
from cgc.source.text import Source, Span

BITS = """
cgc: 1
name: bits
families: {bit: {kind: binary, values: [0, 1]}}
components:
  x: {role: input, nodes: 2, family: bit, independent: true}
  a: {nodes: 2, family: bit, parents: {x: elementwise}}
  b: {nodes: 2, family: bit, parents: {a: dense}}
  y: {role: output, nodes: 1, family: bit, parents: {b: dense}}
"""
RECURRENT = """
cgc: 1
name: recurrent
families: {spin: {kind: binary, values: [-1, 1]}}
time: {steps: 3}
components:
  x: {role: input, nodes: 2, family: {kind: binary, values: [0, 1]}, independent: true}
  h: {nodes: 2, family: spin, parents: {x: elementwise, h: {kind: dense, lag: 1}}}
  y: {role: output, nodes: 1, at: last, family: spin, parents: {h: dense}}
independence:
  - h[i,t] ⟂ h[j,t-1] | parents where j != i
"""
GAUSSIAN = """
cgc: 1
name: gaussian
families: {real: {kind: gaussian, std: 1}}
components:
  x: {role: input, nodes: 3, family: real, independent: true}
  a: {nodes: 3, family: real, parents: {x: elementwise}}
  b: {nodes: 3, family: real, parents: {a: dense}}
  y: {role: output, nodes: 3, family: real, parents: {b: dense, x: elementwise}}
independence:
  - b[i] ⟂ a[j] | parents where abs(i - j) > 1
"""
COUNT = 3000


class Draws:
    """Values of every node in ``COUNT`` draws; weights and biases are drawn too, and none is small."""

    def __init__(self, package: Package, seed: int, steps: int | None, continuous: bool) -> None:
        torch.manual_seed(seed)
        model = package.module.Model().to(torch.float64).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                sign = torch.randint(0, 2, parameter.shape).to(parameter) * 2 - 1
                parameter.copy_(torch.zeros_like(parameter) if name.endswith("bias") else sign * (0.8 + 0.6 * torch.rand_like(parameter)))
        spec = package.compiled.spec
        shape = (COUNT, *([steps] if steps else []), *spec.component("x").nodes)
        x = torch.randn(shape, dtype=torch.float64) if continuous else torch.randint(0, 2, shape).to(torch.float64)
        self.values = {"x": x}
        hooks = []
        for component in spec.components:
            if component.role == "hidden":
                layer = model.get_submodule(component.name)
                hooks.append(layer.register_forward_hook(self.keeping(component.name, steps is not None)))
        with torch.no_grad():
            self.values["y"] = model.sample(x)[0]
        for hook in hooks:
            hook.remove()
        for name, value in self.values.items():
            assert value.shape[0] == COUNT, name

    def keeping(self, name: str, timed: bool) -> Callable[[Any, Any, Tensor], None]:
        """A hook that keeps what a layer gives; values in time have an axis of draws before the rows."""

        def keep(_: Any, __: Any, out: Tensor) -> None:
            self.values[name] = out[0] if timed else out

        return keep

    def of(self, node: Node, last: int) -> Tensor:
        """One value a draw; time t is the ``last`` step."""
        value = self.values[node.part].reshape(COUNT, -1) if node.part == "y" else self.values[node.part]
        if value.dim() == 3:
            assert node.time is not None
            value = value[:, last + node.time]
        return value[:, node.indices[0]]


def g_test(x: Tensor, y: Tensor, z: list[Tensor]) -> float:
    """The p-value of x ⟂ y within the strata of z (G-test with the degrees of freedom of each stratum added up)."""
    g, degrees = 0.0, 0
    strata = torch.stack(z, -1).unique(dim=0, return_inverse=True)[1] if z else torch.zeros(len(x), dtype=torch.long)
    for stratum in range(int(strata.max()) + 1):
        a, b = (v[strata == stratum] for v in (x, y))
        table = torch.stack([torch.stack([((a == p) & (b == q)).sum() for q in y.unique()]) for p in x.unique()]).double()
        expected = table.sum(1, keepdim=True) * table.sum(0, keepdim=True) / table.sum()
        if table.shape != (2, 2) or expected.min() < 5:
            continue  # the distribution of G is not that of chi squared there
        g += 2 * float(torch.xlogy(table, table / expected).sum())
        degrees += 1
    return float(torch.special.gammaincc(torch.tensor(degrees / 2), torch.tensor(g / 2))) if degrees else 1.0


def partial_correlation_test(x: Tensor, y: Tensor, z: list[Tensor]) -> float:
    """The p-value of x ⟂ y | z for Gaussians (Fisher's z)."""
    given = torch.stack([torch.ones_like(x), *z], -1)
    a, b = (v - given @ torch.linalg.lstsq(given, v[:, None]).solution[:, 0] for v in (x, y))
    r = float((a @ b) / (a.norm() * b.norm()))
    return math.erfc(abs(math.atanh(r)) * math.sqrt(len(x) - len(z) - 3) / math.sqrt(2))


def p_values(package: Package, statements: list[str], steps: int | None, continuous: bool, seeds: range) -> list[float]:
    """One p-value for a statement and seed, each from draws of its own; the case is chosen by the seed."""
    graph = package.compiled.graph
    parts = with_gates(graph.parts)
    test = partial_correlation_test if continuous else g_test
    found = []
    for number, text in enumerate(statements):
        (instance,) = bind(parse(text, Span(Source("test", text), 1, 1)), Names(parts), graph.timed)
        cases = Question(instance, parts, graph.timed, (), "lwf").cases
        for seed in seeds:
            case = cases[seed % len(cases)]
            draws = Draws(package, 1000 * number + seed, steps, continuous)
            # what was before the first step is not there
            last = (steps or 1) - 1
            given = [draws.of(n, last) for n in case.z if n.time is None or last + n.time >= 0]
            found.append(test(draws.of(case.x[0], last), draws.of(case.y[0], last), given))
    return found


def most_rejections(tests: int, level: float = 0.05, surely: float = 1e-3) -> int:
    """The number of rejections that is exceeded with probability below ``surely`` if each happens at ``level``."""
    tail, k = 1.0, -1
    while tail > surely:
        k += 1
        tail -= math.comb(tests, k) * level**k * (1 - level) ** (tests - k)
    return k


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These tensors are small: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CASES = {"bits": (BITS, None, False), "recurrent": (RECURRENT, 3, False), "gaussian": (GAUSSIAN, None, True)}


def implied(package: Package) -> list[str]:
    """What is printed, but for the future, which is not in the draws."""
    found = Independences(package.compiled.graph)
    texts = [*found.missing_edges()[0], *(p.statement for p in found.pairs() if p.statement is not None)]
    return [text for text in dict.fromkeys(texts) if "t+1" not in text]


@pytest.mark.parametrize("name", CASES)
def test_rejections_stay_at_the_nominal_level(name: str, tmp_path: Path) -> None:
    text, steps, continuous = CASES[name]
    package = emit(tmp_path, text)
    statements = implied(package)
    seeds = range(-(-150 // len(statements)))
    found = p_values(package, statements, steps, continuous, seeds)
    assert len(found) >= 150
    rejected = sum(p < 0.05 for p in found)
    assert rejected <= most_rejections(len(found)), [t for t, p in zip(statements, found[:: len(seeds)], strict=True) if p < 0.05]
    assert sum(p < 0.5 for p in found) > len(found) // 4  # a test that never rejects would show nothing


@pytest.mark.parametrize(
    ("name", "without", "statement"),
    [
        ("bits", "a: {nodes: 2, family: bit, parents: {x: elementwise}}", "a[i] ⟂ x[j] | x[i] where j != i"),
        ("recurrent", "independence:\n  - h[i,t] ⟂ h[j,t-1] | parents where j != i\n", "h[i,t] ⟂ h[j,t-1] | x[:,t], h[i,t-1] where j != i"),
        ("gaussian", "independence:\n  - b[i] ⟂ a[j] | parents where abs(i - j) > 1\n", "b[i] ⟂ a[j] | a[1] where abs(i - j) > 1"),
    ],
)
def test_an_edge_put_back_is_found(name: str, without: str, statement: str, tmp_path: Path) -> None:
    text, steps, continuous = CASES[name]
    denser = text.replace(without, without.replace("elementwise", "dense") if "elementwise" in without else "")
    assert denser != text
    kept, back = (p_values(emit(tmp_path / str(k), t), [statement], steps, continuous, range(20)) for k, t in enumerate((text, denser)))
    assert sum(p < 0.05 for p in kept) <= most_rejections(20)
    assert sum(p < 0.05 for p in back) >= 18
