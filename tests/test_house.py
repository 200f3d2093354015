"""Rules of the house that can be tested: layering, what the repository may say, templates and their context."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent


def tracked() -> list[Path]:
    """Text files of the repository; all files where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or [p for p in ROOT.rglob("*") if ".venv" not in p.parts]
    return [p for p in paths if p.is_file() and p.suffix in {".py", ".jinja", ".md", ".toml", ".yaml", ".txt", ".svg", ""}]


def test_layers() -> None:
    result = subprocess.run([SCRIPTS / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_sympy_and_jinja_and_torch_stay_in_their_rooms() -> None:
    rooms = {"sympy": ("formula", "families", "derive"), "jinja2": ("emit/render.py",), "torch": ()}
    for library, allowed in rooms.items():
        for path in sorted((ROOT / "cgc").rglob("*.py")):
            place = path.relative_to(ROOT / "cgc").as_posix()
            if re.search(rf"^\s*(import|from) {library}\b", path.read_text(encoding="utf-8"), re.M):
                assert place.startswith(allowed) if allowed else False, f"{place} imports {library}"


def test_user_text_is_never_code() -> None:
    for path in sorted((ROOT / "cgc").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found = re.search(r"\b(eval|exec|sympify|parse_expr|pickle\.loads?|yaml\.load|nsimplify|simplify)\(", text)
        assert found is None, f"{path.name}: {found}"


def test_the_repository_speaks_of_the_project_alone() -> None:
    words = [r"\.\./" + "shared", "/" + "work/", "farm" + "-", r"/" + "tmp/", "sub" + "agent"]
    for path in tracked():
        text = path.read_text(encoding="utf-8")
        for word in words:
            assert not re.search(word, text), f"{path.relative_to(ROOT)} says {word}"


def test_every_template_part_is_used() -> None:
    from cgc.targets.torch.blocks import INFERENCE, PARTS

    for folder, names in (("parts", PARTS), ("inference", INFERENCE)):
        there = {path.name.removesuffix(".py.jinja") for path in (ROOT / "templates" / "torch" / folder).iterdir()}
        assert there == set(names)


def test_the_makefile_is_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = readme.split("```")[1]
    assert re.findall(r"^(\S+ \S+)", first, re.M) == ["make demo", "make test"]


@pytest.mark.slow
def test_types_and_style() -> None:
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "--line-length", "120", "generated"], ["mypy"]):
        result = subprocess.run([SCRIPTS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
