"""The kernels of all families as one folder, imported once; and what they must compute, from the interpreter."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from cgc.derive.derivation import Derivation
from cgc.derive.limit import begin
from cgc.emit.kernels import kernel_files
from cgc.kernels.code import Value, given
from cgc.kernels.gates import Gate, gate_name, gate_node, in_words
from cgc.kernels.interpret import Array, evaluate
from cgc.kernels.node import WORDS, Node
from cgc.kernels.plan import Kernels, LawKernel, supported
from cgc.kernels.random import philox
from cgc.spec.single import read_single

sys.path.insert(0, str(Path(__file__).parents[1] / "derive"))
from laws import derivation
from test_all_families import ALL, law

LANES = 256


@dataclass(frozen=True)
class Target:
    """Where kernels run: ``laws`` and ``back`` of the module, and its operations in C or in Triton."""

    name: str
    laws: Any
    back: Any
    operations: Any

    def __getattr__(self, operation: str) -> Any:
        return getattr(self.operations, operation)

    def rounded(self, wide: torch.Tensor) -> torch.Tensor:
        """Floats as bfloat16 arrays hold them: Triton's interpreter cuts off, where processors and GPUs round to the nearest."""
        if self.name == "triton":
            wide = (wide.view(torch.int32) & -65536).view(torch.float32)
        return wide.bfloat16()


def class_of(name: str) -> str:
    """A name for the class of a law that is called in words."""
    return "".join(word.capitalize() for word in name.replace("'", "").replace(",", "").replace("-", " ").split())


@cache
def laws() -> dict[str, Derivation]:
    """All families of the tests, and the usual ones, by the name of their class."""
    kept = Path(os.environ["CGC_CACHE"])
    kept.mkdir(parents=True, exist_ok=True)
    # one worker derives for all of them
    with (kept / "laws.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begin([(read_single(text).law, None, True) for text in ALL.values()])
        usual = {
            "Spin": derivation("binary", values=[-1, 1]),
            "Bit": derivation("binary", values=[0, 1]),
            "Relu": derivation("rectified_gaussian", std="tanh(e)", emit="relu"),
            "Levels": derivation("exponential_family", support=list(range(20))),
            "LogGamma": derivation("density", support="nonnegative", log_density="(sigmoid(e) - 0.9)*log(x) - x", feature="log(x)"),
        }
        return usual | {class_of(name): law(name) for name in ALL}


TABLED = ("TanhOfNoise", "Quartic", "VonMises", "Conway", "DiscreteGaussian", "WeibullLike")
"""Laws that are averages over long tables, whose kernels take as long as their rows are many, and Triton's interpreter for
ever."""


def nodes() -> dict[str, Node]:
    """The arithmetic of all that have one."""
    found = {name: supported(known) for name, known in laws().items()}
    return {name: node for name, node in found.items() if node is not None}


GATES: tuple[Gate, ...] = (("bernoulli", 0.75), ("gaussian", 0.5))
RECURRENT = ("Relu", "Spin", "Gaussian", "Gelu", "RectifiedLogistic", "Levels")
CHAINS = (1, 3, 4, 5, 13, 40)


def kernels() -> Kernels:
    """A kernel for each, some of them recurrent, and for some chains."""
    known = [LawKernel(name, laws()[name].density, node, name in RECURRENT, normalised=True) for name, node in nodes().items()]
    known += [LawKernel(gate_name(gate), in_words(gate), gate_node(gate), False, normalised=True, gate=gate) for gate in GATES]
    return Kernels(tuple(known), CHAINS)


def written(folder: Path) -> Path:
    """The folder ``kernels`` of a package with all laws, below ``folder``."""
    known = kernels()
    for path, content in kernel_files("all", known, {one.name: one.name for one in known.laws}, looks=True).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder / "kernels"


def imported(folder: Path, name: str = "all_kernels") -> ModuleType:
    """The module of a folder ``kernels``."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words_of(seed: int, first: Array, later: Array) -> list[Array]:
    """Four arrays of random words for the counters (first, later)."""
    names = ("c0", "c1", "c2", "c3", "k0", "k1")
    c0, c1, c2, c3, k0, k1 = (given(name) for name in names)
    parts = [first & 0xFFFFFFFF, first >> np.uint64(32), later, np.uint64(0), seed & 0xFFFFFFFF, seed >> 32]
    values = {name: np.asarray(part).astype(np.uint32) for name, part in zip(names, parts, strict=True)}
    return [np.broadcast_to(w, np.shape(first)) for w in evaluate(philox((c0, c1, c2, c3), (k0, k1)), values)]


def element_words(node: Node, seed: int, count: int) -> dict[str, Array]:
    """The words of the elements of one array: a block of four for each place in a tile, whose parts follow each other."""
    per = 4 // node.words
    element = np.arange(count, dtype=np.uint64)
    tile, inside = element // np.uint64(per * LANES), element % np.uint64(per * LANES)
    words = np.stack(words_of(seed, tile * np.uint64(LANES) + inside % np.uint64(LANES), np.zeros_like(element)))
    part = (inside // np.uint64(LANES)).astype(np.int64)
    return {f"w{k}": words[part * node.words + k, np.arange(count)] for k in range(node.words)}


def step_words(node: Node, seed: int, rows: int, features: int, t: int) -> dict[str, Array]:
    """The words at one step of a recurrence, (rows, features)."""
    per = 4 // node.words
    first = np.arange(rows * features, dtype=np.uint64).reshape(rows, features)
    words = words_of(seed, first, np.full_like(first, t // per + 1))
    return {f"w{k}": words[(t % per) * node.words + k] for k in range(node.words)}


def value(result: Value, **arrays: Any) -> Array:
    """The value of typed arithmetic."""
    leaves = {str(w.args[0]): np.uint32(0) for w in WORDS}
    return evaluate((result,), {**leaves, **arrays})[0]
