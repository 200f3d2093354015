"""Families from other packages: a wheel is installed with pip, and its families are as good as those that are built in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FAMILIES = '''
"""Families of another package."""

from typing import Literal

import sympy

from cgc.families.base import Family
from cgc.families.forms import E, Noise, Y
from cgc.formula.fields import Real, exact


class Shrunk(Family):
    """A latent logistic value, drawn towards 0 by a threshold."""

    kind: Literal["shrunk"]
    threshold: Real = 1

    def law(self) -> Noise:
        t = exact(self.threshold)
        return Noise("logistic", exact(1), sympy.Max(0, Y - t) + sympy.Min(0, Y + t))
'''
SPEC = """\
cgc: 1
name: with_plugin
components:
  x: {role: input, nodes: 3, family: {kind: binary, values: [0, 1]}}
  h: {nodes: 4, family: {kind: shrunk, threshold: 0.5}, parents: {x: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, parents: {h: dense}}
"""


def wheel(folder: Path, name: str, points: str, modules: dict[str, str]) -> Path:
    """A wheel as build tools write it."""
    info = f"{name}-1.0.dist-info"
    files = {f"{module}.py": text for module, text in modules.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[cgc.families]\n{points}\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text.encode())}"
        for path, text in files.items()
    ]
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return path


def unpacked(folder: Path, *wheels: Path) -> dict[str, str]:
    """An environment with what is in the wheels, which is what pip makes of such wheels, in less time."""
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / "site")
    return os.environ | {"PYTHONPATH": str(folder / "site")}


def installed(folder: Path, *wheels: Path) -> dict[str, str]:
    """An environment in which pip has installed the wheels."""
    site = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target"]
    subprocess.run([*command, str(site), *map(str, wheels)], check=True, capture_output=True)
    return os.environ | {"PYTHONPATH": str(site)}


def cgc(environment: dict[str, str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cgc", *arguments], env=environment, cwd=cwd, capture_output=True, text=True, encoding="utf-8"
    )


def test_families_of_an_installed_package(tmp_path: Path) -> None:
    environment = installed(tmp_path, wheel(tmp_path, "acme", "acme = acme_families", {"acme_families": FAMILIES}))
    listed = cgc(environment, "families", "shrunk", cwd=tmp_path)
    assert listed.returncode == 0 and "A latent logistic value, drawn towards 0 by a threshold." in listed.stdout
    # E = log σ(-e - t) - log σ(e - t) = softplus(e - t) - softplus(-e - t)
    derived = cgc(environment, "derive", "{kind: shrunk, threshold: 2}", "--json", cwd=tmp_path)
    found = json.loads(derived.stdout)
    assert found["checked"]["max_relative_difference"] <= 1e-10 and "softplus(e - 2)" in found["expectation"]
    assert cgc(environment, "derive", "shrnk", cwd=tmp_path).stderr.count("did you mean `shrunk`?") == 1
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    compiled = cgc(environment, "compile", "spec.yaml", cwd=tmp_path)
    assert compiled.returncode == 0, compiled.stderr
    schema = cgc(environment, "schema", cwd=tmp_path)
    assert "shrunk" in schema.stdout
    # what was written needs neither cgc nor the package
    script = "import torch; from generated.with_plugin.model import Model; print(Model()(torch.ones(2, 3)).shape)"
    alone = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert "torch.Size([2, 3])" in alone.stdout, alone.stderr


def test_an_entry_point_may_name_one_class(tmp_path: Path) -> None:
    environment = unpacked(tmp_path, wheel(tmp_path, "acme", "one = acme_families:Shrunk", {"acme_families": FAMILIES}))
    assert cgc(environment, "derive", "shrunk", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("points", "text", "reason"),
    [
        ("broken = broken_families", "import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        ("broken = absent_families", "", "No module named 'absent_families'"),
        ("broken = broken_families:Nothing", "", "has no attribute 'Nothing'"),
        ("broken = broken_families", "x = 1\n", "has no subclass of cgc.families.base.Family"),
        ("broken = broken_families", FAMILIES.replace('kind: Literal["shrunk"]', "x: int = 0"), "must declare `kind: Literal"),
        ("broken = broken_families", FAMILIES.replace('"shrunk"', '"gaussian"'), "there is a kind `gaussian` already"),
        ("broken = broken_families", "raise SystemError('a\\nb')\n", "SystemError: a"),
    ],
)
def test_what_cannot_be_used_is_told_and_stops_nothing(points: str, text: str, reason: str, tmp_path: Path) -> None:
    environment = unpacked(tmp_path, wheel(tmp_path, "broken", points, {"broken_families": text}))
    assert cgc(environment, "derive", "{kind: gaussian, std: 1}", cwd=tmp_path).returncode == 0
    unknown = cgc(environment, "derive", "{kind: shrunk}", cwd=tmp_path)
    assert unknown.returncode == 1 and "Traceback" not in unknown.stderr
    assert "= why: the plug-in `broken` cannot be used: " in unknown.stderr and reason in unknown.stderr


def test_two_packages_with_the_same_kind(tmp_path: Path) -> None:
    first = wheel(tmp_path, "acme", "acme = acme_families", {"acme_families": FAMILIES})
    second = wheel(tmp_path, "zeta", "zeta = zeta_families", {"zeta_families": FAMILIES})
    environment = unpacked(tmp_path, first, second)
    listed = cgc(environment, "families", cwd=tmp_path)
    assert "shrunk  A latent" in listed.stdout
    assert "the plug-in `zeta` cannot be used: ValueError: there is a kind `shrunk` already" in listed.stdout
