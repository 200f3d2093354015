"""Emitted packages need no cgc, and any name in a spec gives sound Python."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from packages import ROOT, SPECS, emit

from cgc.compiler import inspect
from cgc.source.diagnostics import SpecError

WITHOUT_CGC = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is out of bounds")
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, {folder!r})
import torch
"""
BLOCKED = ("cgc", "pydantic", "click")  # torch itself needs sympy and jinja2


def run(code: str, folder: Path, *more: str) -> str:
    code = WITHOUT_CGC.format(blocked=BLOCKED, folder=str(folder)) + code
    done = subprocess.run([sys.executable, "-I", "-c", code, *more], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_runs_without_cgc(tmp_path: Path) -> None:
    for name in ("mnist_dense", "indrnn"):
        inspect(SPECS / f"{name}.yaml", {"hidden": 5}).bundle().write(tmp_path / name)
    code = """
import indrnn, mnist_dense
from mnist_dense.model import MnistDense
print(tuple(indrnn.Model()(torch.rand(2, 8, 8)).shape), tuple(MnistDense()(torch.rand(3, 784)).shape))
assert "cgc" not in sys.modules
"""
    assert run(code, tmp_path).strip() == "(2, 10) (3, 10)"


def test_training_runs_without_cgc(tmp_path: Path) -> None:
    inspect(SPECS / "digits_dense.yaml", {"hidden": 5}).bundle().write(tmp_path / "digits_dense")
    code = """
import runpy
sys.path.insert(0, "digits_dense")
sys.argv = ["train.py", "--epochs", "1", "--runs-dir", "runs"]
runpy.run_path("digits_dense/train.py", run_name="__main__")
"""
    assert "epoch" in run(code, tmp_path)
    assert (tmp_path / "runs").is_dir()


NAMED = """cgc: 1
name: named
time: {steps: 3}
components:
  NAME: {role: input, nodes: 2, family: {kind: gaussian, std: 1}}
  h: {nodes: 2, family: {kind: binary, values: [-1, 1]}, normalize: batch, parents: {NAME: dense, h: {kind: dense, lag: 1}}}
  g: {nodes: 2, family: {kind: gaussian, std: 0.5}, parents: {h: [{kind: dense, name: EDGE}], f: {kind: dense, lag: 1}}}
  f: {nodes: 2, family: {kind: gaussian, std: 0.5}, parents: {g: dense}}
  out: {role: output, nodes: 2, family: {kind: categorical, labels: 2}, parents: {f: dense, NAME: {kind: dense, lag: 1}}}
"""


def identifiers(source: str) -> set[str]:
    """All that a module calls something."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        found |= {getattr(node, field) for field in ("id", "attr", "arg", "name") if isinstance(getattr(node, field, None), str)}
    return {name for name in found if re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)}


@pytest.mark.parametrize("every", [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)])
def test_no_name_breaks_the_code(tmp_path: Path, every: int) -> None:
    """Every identifier of an emitted model, as the name of an input, a hidden component and an edge: refused, or harmless."""
    plain = emit(tmp_path, NAMED.replace("NAME", "x").replace("EDGE", "h"))
    everything = emit(tmp_path, Path(__file__).with_name("everything.yaml"))
    words = identifiers((plain.folder / "model.py").read_text()) | identifiers((everything.folder / "model.py").read_text())
    x = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = plain.model()(x)
    harmless = 0
    usual = NAMED.replace("NAME", "x").replace("EDGE", "h")
    for k, word in enumerate(sorted(words - {"x", "h", "g", "f", "out"})):
        places = (
            NAMED.replace("NAME", word).replace("EDGE", "h"),
            NAMED.replace("NAME", "x").replace("EDGE", word),
            re.sub(r"\bf\b", word, usual),
            re.sub(r"\bout\b", word, usual),
        )
        for text in (text for n, text in enumerate(places) if (4 * k + n) % every == 0):
            try:
                package = emit(tmp_path, text)
            except SpecError as error:
                assert {d.code for d in error.diagnostics} <= {"CG311", "CG307"}, (word, error)
                continue
            harmless += 1
            model = package.model()
            torch.testing.assert_close(model(x), wanted, rtol=1e-12, atol=1e-12, msg=word)
            drawn = model.sample(x)[0]
            model.log_prob(x, drawn), model.expectation(x), model.decode(x)
            model(x[:, 1:], state=model(x[:, :1], return_state=True)[1])
    assert harmless > 10


def test_kernels_are_no_name_of_an_input(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        emit(tmp_path, NAMED.replace("NAME", "kernels").replace("EDGE", "h"))
    assert {d.code for d in refused.value.diagnostics} == {"CG311"}


@pytest.mark.parametrize("name", ["spec.yaml", "manifest.json", "model.py", "__init__.py"])
def test_what_is_written_names_no_folder(name: str) -> None:
    for path in (ROOT / "generated").glob(f"*/{name}"):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text and os.path.expanduser("~") + "/" not in text
