"""Parts of a derivation side by side: the same answers, the same errors, and nobody who goes on alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import mpmath
import pytest

from cgc.derive.codec import read, written
from cgc.derive.guard import Guarded, Series
from cgc.formula.scalar import Op, Var, const

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are copied")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", ["binary", "rectified gaussian, tanh", "gelu", "von Mises", "inflated"])
def test_answers_are_the_same(name: str) -> None:
    code = f"""
import os
os.cpu_count = lambda: 2
from test_all_families import ALL
from cgc.derive import beside
from cgc.derive.codec import encode
from cgc.derive.derive import derive
from cgc.spec.single import read_single
law = read_single(ALL["{name}"]).law
alone = encode(derive(law))
derive.cache_clear()
forks, fork = [], os.fork
os.fork = lambda: forks.append(1) or fork()
beside.allow()
assert encode(derive(law)) == alone
print(len(forks))
"""
    assert int(run(code)) >= 2


def test_what_fails_elsewhere_fails_here() -> None:
    code = """
import os
os.cpu_count = lambda: 2
from cgc.derive import beside
beside.allow()
def bad():
    raise ZeroDivisionError("as ever")
assert beside.side_by_side(lambda: 1, lambda: (2, "three", None)) == [1, (2, "three", None)]
try:
    beside.side_by_side(lambda: 1, bad, lambda: 3)
except ZeroDivisionError as error:
    print(error)
here = os.getpid()
# what cannot be written is computed here
assert beside.side_by_side(lambda: 1, lambda: {os.getpid()})[1] == {here}
"""
    assert run(code) == "as ever\n"


def test_nobody_goes_on_alone(tmp_path: Path) -> None:
    """The process that derives is killed when its time is up; those beside it end soon after."""
    code = f"""
import os, time
os.cpu_count = lambda: 2
from pathlib import Path
from cgc.derive import beside
beside.allow()
def endless():
    Path({str(tmp_path / "child")!r}).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)
beside.side_by_side(lambda: time.sleep(60), endless)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)
    noted = tmp_path / "child"
    for _ in range(600):
        if noted.exists() and noted.read_text():
            break
        time.sleep(0.1)
    child = int(noted.read_text())
    parent.kill()
    parent.wait()
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("it goes on")


def test_numbers_of_many_digits_are_written_and_read() -> None:
    with mpmath.mp.workdps(60):
        low, high = -mpmath.pi / 7, mpmath.mpf("inf")
        found = Guarded(Op("add", (Var("e"), const(2))), (Series(low, high, mpmath.mp.zero, 4),), 0.25)
        again = read(written((found, ())))
    assert again == (found, ()) and again[0].series[0].low == low
    with pytest.raises(TypeError):
        written({1})
    for text in ("", "[]", '{"table": [["None", 1]], "root": {"at": 0}}', '{"table": [], "root": {"at": 0}}'):
        with pytest.raises(ValueError):
            read(text)
