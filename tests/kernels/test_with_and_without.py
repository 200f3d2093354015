"""Whatever the spec: with kernels a model computes what it computes without them, and so do its gradients."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from made import imported

sys.path.insert(0, str(Path(__file__).parents[1] / "emitted"))
from packages import Package, emit
from random_specs import specs
from test_random_specs import inputs_of

from cgc.source.diagnostics import SpecError

QUIET: dict[str, Any] = {"deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def computed(package: Package, kernels: Any, dtype: torch.dtype, lengths: torch.Tensor | None, training: bool) -> list[torch.Tensor]:
    """Energies of all outputs, the gradients of their squares, and the statistics that are remembered then."""
    model = package.model(dtype=torch.float32).to(dtype).train(training)
    quiet = {"gates": False} if "gates" in package.module.Inference._fields else {}
    model.how = [package.module.Inference(**quiet)] * 2
    inputs = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs_of(package).items()}
    package.module.kernels = kernels  # type: ignore[attr-defined]
    found = model(**inputs, **({} if lengths is None else {"lengths": lengths}))
    energies = [found] if isinstance(found, torch.Tensor) else list(found)
    grads = torch.autograd.grad(sum(e.square().mean() for e in energies), list(model.parameters()), allow_unused=True)
    return [*(e.detach() for e in energies), *(torch.zeros(()) if g is None else g for g in grads), *model.buffers()]


def compare(folder: Path, text: str, seen: list[bool]) -> None:
    """One spec, with sequences that end early too; ``seen`` tells of each that has kernels whether it has steps of loops."""
    note(text)
    try:
        package = emit(folder, text)
    except SpecError:
        return
    if not (package.folder / "kernels").exists():
        return
    kernels: Any = imported(package.folder / "kernels", f"kernels_of_{package.folder.name}")
    assert kernels.library() is not None
    # nodes are few here: let them have kernels nevertheless
    kernels.LAWS = {name: law._replace(least=0) for name, law in getattr(kernels, "LAWS", {}).items()}
    kernels.UNDRAWN = 0
    seen.append(hasattr(kernels, "CELLS"))
    every_length = [None] if package.compiled.program.steps is None else [None, torch.tensor([4, 1, 3, 4, 2])]
    for lengths, training in itertools.product(every_length, (False, True)):
        mine = computed(package, kernels, torch.float32, lengths, training)
        exact = computed(package, None, torch.float64, lengths, training)
        for one, other in zip(mine, exact, strict=True):
            torch.testing.assert_close(one.double(), other.double(), rtol=2e-3, atol=2e-3 * (1 + float(other.abs().max())))


@pytest.mark.parametrize("examples", [pytest.param(8, id="some"), pytest.param(150, id="many", marks=pytest.mark.slow)])
def test_random_specs(tmp_path: Path, examples: int) -> None:
    seen: list[bool] = []

    @settings(max_examples=examples, **QUIET)
    @given(specs())
    def same(text: str) -> None:
        compare(tmp_path, text, seen)

    same()
    assert len(seen) > examples // 4, "most of these have kernels"


NAMES = ("h", "a", "b", "c")
FAMILIES: dict[str, dict[str, Any]] = {
    "bit": {"kind": "binary", "values": [0, 1]},
    "spin": {"kind": "binary", "values": [-1, 1]},
    "rect": {"kind": "rectified_gaussian", "std": "tanh(e)", "emit": "relu"},
    "noisy": {"kind": "gaussian", "std": 0.3},
    "linear": {"kind": "gaussian", "std": 0},
}


@st.composite
def loops(draw: st.DrawFn) -> str:
    """A spec of one to four layers of one size that read each other's past, as dense edges and node by node, behind gates."""
    names = list(NAMES[: draw(st.integers(1, 4))])
    names = draw(st.permutations(names))
    family = {name: draw(st.sampled_from(list(FAMILIES))) for name in names}
    sources = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    components: dict[str, Any] = {"x": {"role": "input", "nodes": 3, "family": "linear"}}
    for k, name in enumerate(names):
        parents: dict[str, Any] = {}
        if k == 0 or not sources or draw(st.booleans()):
            parents["x"] = "dense"
        if not parents or draw(st.integers(0, 3)):
            parents |= {source: {"kind": "dense", "lag": 1} for source in sources}
        for _ in range(draw(st.integers(0, 2))):
            lag = draw(st.integers(0 if k else 1, 2))
            source = draw(st.sampled_from(names if lag else names[:k]))
            edge: dict[str, Any] = {"kind": draw(st.sampled_from(["elementwise", "identity"])), "lag": lag}
            gates = [other for other in names[:k] if family[other] in ("bit", "spin")]
            if gates and draw(st.booleans()):
                gate = draw(st.sampled_from(gates))
                edge["gate"] = {"component": gate, "open": draw(st.sampled_from([0, 1] if family[gate] == "bit" else [-1, 1]))}
            parents.setdefault(source, edge)
        bias = draw(st.sampled_from([True, True, False, 0.25]))
        components[name] = {"nodes": 4, "family": family[name], "bias": bias, "parents": parents}
    components["y"] = {
        "role": "output",
        "nodes": 1,
        "family": {"kind": "categorical", "labels": 3},
        "parents": dict.fromkeys(names, "dense"),
    }
    return yaml.safe_dump({"cgc": 1, "name": "loop", "families": FAMILIES, "time": {"steps": 4}, "components": components}, sort_keys=False)


@pytest.mark.parametrize("examples", [pytest.param(12, id="some"), pytest.param(300, id="many", marks=pytest.mark.slow)])
def test_random_loops(tmp_path: Path, examples: int) -> None:
    seen: list[bool] = []

    @settings(max_examples=examples, **QUIET)
    @given(loops())
    def same(text: str) -> None:
        compare(tmp_path, text, seen)

    same()
    assert sum(seen) > examples // 4, "many of these have loops that layers share"
