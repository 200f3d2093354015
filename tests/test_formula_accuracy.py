"""The table of measured accuracy in benchmarks/results: it keeps the contract, and is what the code of today gives."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("formula_accuracy", BENCHMARKS / "formula_accuracy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = benchmark()
TABLE = json.loads(MODULE.RESULTS.read_text(encoding="utf-8"))
# a table of moments, a guarded series, a tail, gates, atoms
QUICK = ["binary -1, 1", "probit 0, 1", "rectified gaussian, std tanh e", "tilted uniform", "gate Phi (GELU)", "rectified uniform"]


def test_the_table_is_of_these_families_and_keeps_the_contract() -> None:
    assert TABLE["contract"] == {"float32": 1e-5, "float64": 1e-12} == MODULE.CONTRACT
    assert {name: row["family"] for name, row in TABLE["families"].items()} == MODULE.FAMILIES
    assert [line for name, row in TABLE["families"].items() for line in MODULE.broken(name, row)] == []


def test_exceptions_are_exceptions() -> None:
    for family, column in MODULE.KNOWN:
        assert TABLE["families"][family]["float32"][column] > MODULE.CONTRACT["float32"]


def again(name: str) -> None:
    row, found = TABLE["families"][name], MODULE.measure(MODULE.FAMILIES[name])
    assert MODULE.broken(name, found) == []
    for dtype, bar in MODULE.CONTRACT.items():
        assert list(found[dtype]) == list(row[dtype])
        for column, figure in found[dtype].items():
            # other processors round functions differently
            assert figure <= max(4 * row[dtype][column], bar / 20), (dtype, column, figure, row[dtype][column])


@pytest.mark.parametrize("name", QUICK)
def test_measured_again(name: str) -> None:
    again(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODULE.FAMILIES if name not in QUICK])
def test_all_measured_again(name: str) -> None:
    again(name)
