"""Derivations that were made before: the same when read back, explained when they are not there, and never a hang."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from cgc.derive import cache, limit
from cgc.derive.codec import decode, encode
from cgc.derive.derivation import Refusal
from cgc.derive.derive import derive
from cgc.families.forms import Law, Noise
from cgc.families.registry import registry


def law(kind: str, **fields: Any) -> Law:
    return registry()[kind].model_validate({"kind": kind, **fields}, context={"params": {}}).law()


@pytest.mark.parametrize("kind", list(registry()))
def test_a_derivation_comes_back_as_it_was(kind: str) -> None:
    found = derive(law(kind, **registry()[kind].example()) if "emit" not in registry()[kind].example() else law(kind, std="tanh(e)"))
    assert decode(encode(found), found.law) == found
    assert encode(decode(encode(found), found.law)) == encode(found)


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"table": [], "root": 0}', '{"table": [["os.system", "ls"]], "root": 0}'])
def test_what_is_no_derivation_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text, law("poisson"))


def test_a_second_time_is_a_hit_and_a_change_of_source_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGC_CACHE", str(tmp_path))
    node = law("gamma", shape=2.5)
    assert cache.explain(node, None, True).reasons == ("this density has not been derived before",)
    made = derive(node)
    cache.store(node, None, True, made)
    assert cache.load(node, None, True) == made and cache.explain(node, None, True).hit
    assert cache.load(node, "softplus", True) is None and cache.load(node, None, False) is None
    (file,) = tmp_path.glob("*.json")
    content = json.loads(file.read_text())
    content["key"] = [[name, "another" if name == "cgc/derive/noise.py" else digest] for name, digest in content["key"]]
    file.write_text(json.dumps(content))
    assert cache.load(node, None, True) is None
    assert cache.explain(node, None, True).reasons == ("cgc/derive/noise.py has changed",)
    file.write_text("{broken")
    assert cache.load(node, None, True) is None and cache.explain(node, None, True).reasons == ("its file cannot be read",)


def test_every_source_file_that_derives_is_part_of_the_key() -> None:
    names = {name for name, _ in cache.compiler_parts()}
    root = Path(cache.__file__).parents[1]
    for package in ("families", "formula", "derive"):
        assert {f"cgc/{package}/{path.name}" for path in (root / package).glob("*.py")} <= names
    assert {"sympy", "mpmath", "numpy"} <= names


def test_off_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGC_CACHE", "off")
    assert cache.folder() is None and cache.load(law("poisson"), None, True) is None
    cache.store(law("poisson"), None, True, derive(law("poisson")))


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("CGC_CACHE", str(file / "below"))
    assert limit.derive_within.__wrapped__(law("poisson")).expectation_text == "exp(e)"


def test_a_derivation_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The child is killed; the Diagnostic proposes quadrature, and no other formula comes out."""

    def endless(law: Law, emit: str | None = None, closed: bool = True) -> Any:
        while True:
            time.sleep(0.01)

    monkeypatch.setenv("CGC_CACHE", str(tmp_path))
    monkeypatch.setattr(limit, "derive", endless)
    with pytest.raises(Refusal) as caught:
        limit.derive_within.__wrapped__(law("poisson"), seconds=0.3)
    assert caught.value.code == "CG514" and "route: quadrature" in caught.value.help
    assert not list(tmp_path.iterdir())


def test_refusals_and_bugs_cross_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGC_CACHE", "off")
    with pytest.raises(Refusal) as caught:
        limit.derive_within.__wrapped__(law("noise", base="logistic", scale=2, value="exp(y)"))
    assert caught.value.code == "CG508" and "infinity" in caught.value.why

    def broken(law: Law, emit: str | None = None, closed: bool = True) -> Any:
        raise KeyError("lost")

    monkeypatch.setattr(limit, "derive", broken)
    with pytest.raises(Exception, match="KeyError"):
        limit.derive_within.__wrapped__(law("poisson"))


def test_the_route_depends_on_the_input_alone() -> None:
    """`route: quadrature` is the only way to another route; it agrees with the closed form."""
    node = law("rectified_gaussian", std=0.7)
    assert isinstance(node, Noise)
    numeric = derive(node, None, False)
    assert numeric.numeric is not None and numeric.numeric.error < 1e-10
    assert derive(node).numeric is None
