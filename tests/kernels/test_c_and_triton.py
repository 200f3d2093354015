"""Kernels in C and in Triton against the interpreter of their arithmetic, and against the derived formulas in float64."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from made import CHAINS, GATES, RECURRENT, TABLED, Target, element_words, kernels, laws, nodes, step_words, value

from cgc.derive.derivation import Draw
from cgc.emit.kernels import kernel_files
from cgc.formula.numeric import array
from cgc.formula.tangent import tangent
from cgc.kernels.gates import Gate, gate_name, gate_node
from cgc.kernels.node import Node
from cgc.kernels.plan import Kernels

SEED = 0x0123456789ABCDEF
NODES = nodes()
DRAWN = [name for name, node in NODES.items() if node.words]
# for a function of a function rounding is amplified where they cancel
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def energies(count: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(count, generator=torch.Generator().manual_seed(count))


def test_all_families_have_kernels() -> None:
    assert NODES.keys() == laws().keys()
    assert set(DRAWN) == {name for name, law in laws().items() if isinstance(law.sampling, Draw) and law.sampling.random}
    assert {name for name, node in NODES.items() if node.tabled} == {*TABLED, "Levels"}


@pytest.mark.parametrize("name", [name for name in NODES if name not in TABLED])
def test_expectations_and_slopes(target: Target, name: str) -> None:
    """Against the formula and its derivative in float64, over the energies that networks have."""
    check_expectation(target, name)


@pytest.mark.parametrize("name", TABLED)
def test_averages_over_long_tables(in_c: Target, name: str) -> None:
    check_expectation(in_c, name)
    for rate in (0.1, 1.0):
        check_draws(in_c, name, energies(700), rate)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLED)
def test_averages_over_long_tables_in_triton(in_triton: Target, name: str) -> None:
    check_expectation(in_triton, name)
    check_draws(in_triton, name, energies(40), 1.0)


def check_expectation(target: Target, name: str) -> None:
    law, node = laws()[name], NODES[name]
    e = energies(1499)
    known = target.laws[name].name
    exact = array(law.computed, e=e.double().numpy())
    # a value that is the difference of larger ones has the digits of those
    size = 1e-6 * (1 + np.abs(exact) + np.abs(e.numpy()))
    assert (np.abs(target.node(e, known, 0.0, None).numpy() - exact) <= 4 * size).all()
    slope = array(tangent(law.computed, "e"), e=e.double().numpy())
    near_kink = np.abs(value(node.slope, e=e.numpy() + np.float32(1e-5)) - value(node.slope, e=e.numpy() - np.float32(1e-5))) > 1e-2
    # from the energy where the value does not tell, or a gradient shall pass a draw
    law_here = target.laws[name]
    if not law_here.of_value or (law_here.drawn and law_here.discrete):
        found = target.node_backward(torch.ones_like(e), e, known, 1, 0.0, None).numpy()
        assert (np.abs(found - slope) <= 2e-5 * (1 + np.abs(slope)))[~near_kink].all()
    if node.slope_of_value is not None:
        h = target.node(e, known, 0.0, None)
        again = target.node_backward(torch.ones_like(e), h, known, 0, 0.0, None).numpy()
        assert (np.abs(again - slope) <= 2e-5 * (1 + np.abs(slope)))[~near_kink].all()


@pytest.mark.parametrize("count", [0, 1, 7, 256, 1021, 1025, 4099])
@pytest.mark.parametrize("name", ["Spin", "Relu", "MaxOfTwo"])
def test_draws_at_odd_sizes(target: Target, name: str, count: int) -> None:
    check_draws(target, name, energies(count), 0.3)


@pytest.mark.parametrize("rate", [0.1, 1.0])
@pytest.mark.parametrize("name", [name for name in DRAWN if name not in TABLED])
def test_draws(target: Target, name: str, rate: float) -> None:
    if target.name == "triton" and rate < 1 and name not in ("Spin", "Relu"):
        pytest.skip("its interpreter is slow")
    check_draws(target, name, energies(1300), rate)


@pytest.mark.parametrize("gate", GATES)
def test_gates(target: Target, gate: Gate) -> None:
    """Features behind dropout nodes, all of which are drawn."""
    x, node = energies(1300), gate_node(gate)
    check_draws(target, gate_name(gate), x, 1.0, node)
    alone = value(node.expectation, e=x.numpy())
    np.testing.assert_allclose(alone, x.numpy() * (0.75 if gate[0] == "bernoulli" else 1.0), rtol=1e-6)
    large = target.node(torch.ones(200_000 if target.name == "c" else 2000), gate_name(gate), 1.0, torch.tensor(5)).double()
    mean, std = (0.75, 0.1875**0.5) if gate[0] == "bernoulli" else (1.0, 0.5)
    assert abs(large.mean() - mean) < 5 * std / len(large) ** 0.5 and abs(large.std() / std - 1) < 5 / len(large) ** 0.5


def check_draws(target: Target, name: str, e: torch.Tensor, rate: float, node: Node | None = None) -> None:
    """The very numbers that the interpreter draws; the backward pass draws them again."""
    node, known, seed = node or NODES[name], target.laws[name].name, torch.tensor(SEED)
    drawn = target.node(e, known, rate, seed).numpy()
    words = element_words(node, SEED, len(e))
    assert node.inferred is not None and node.drawn_slope is not None
    given: dict[str, Any] = {"e": e.numpy(), "rate": np.float32(rate), **words}
    different = ~np.isclose(drawn, value(node.inferred, **given), **CLOSE, equal_nan=True)
    # a decision may fall otherwise where a probability is within a rounding of its number
    assert different.sum() <= (1 if len(e) > 1000 else 0)
    how = target.back(target.laws[name], rate, False)
    if target.name == "c" and how == 2:
        again, kept = target.node_kept(e, known, rate, seed)
        assert (~np.isclose(again.numpy(), drawn, **CLOSE, equal_nan=True)).sum() <= 1  # compilers contract sums otherwise
        slopes = kept.numpy()
    else:
        slopes = target.node_backward(torch.ones_like(e), e if how else torch.from_numpy(drawn), known, how, rate, seed).numpy()
    assert (~np.isclose(slopes, value(node.drawn_slope, **given), rtol=1e-4, atol=1e-5, equal_nan=True)).sum() <= 1


CHECKED = ["Spin", "Bit", "Relu", "SpinWithMeasure", "GumbelRectifier", "MaxOfTwo", "TruncatedGaussian", "Levels", "bernoulli_0_75"]


def checked(folder: Path) -> Path:
    """The C of some laws, and of chains."""
    known = Kernels(tuple(law for law in kernels().laws if law.name in CHECKED), CHAINS)
    source = folder / "cpu.c"
    source.write_bytes(kernel_files("some", known, {law.name: law.name for law in known.laws}, looks=True)["kernels/cpu.c"])
    return source


NARROW, MIDDLE, WIDE = [], ["-mavx2", "-mfma", "-mbmi2"], ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma", "-mbmi2"]


def known_here(flags: list[str]) -> bool:
    """Whether this processor can do what a compiler may then assume."""
    try:
        said = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return not flags
    return platform.machine() == "x86_64" and said.issuperset(flag.removeprefix("-m") for flag in flags)


@pytest.mark.parametrize("more", [NARROW, MIDDLE, WIDE])
def test_processors_with_other_vectors_draw_the_same(tmp_path: Path, ops: ModuleType, more: list[str]) -> None:
    """Elements that are drawn are brought together by whole vectors where a processor can, else one after the other."""
    if not known_here(more):
        pytest.skip("not on this processor")
    place = tmp_path / "other.so"
    subprocess.run(["cc", *ops.FLAGS, "-O1", *more, "-shared", str(checked(tmp_path)), "-o", str(place), "-lm"], check=True)
    other = ctypes.CDLL(str(place))
    p, n, i, f, u = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float, ctypes.c_ulonglong
    for name in (name for name in CHECKED if name in DRAWN and not NODES[name].always):
        known = ops.LAWS[name].name
        run = getattr(other, f"{known}_forward")
        run.argtypes = [p, p, p, n, i, f, u, i]
        for count in (1, 8, 259, 1300):
            e, h, slopes = energies(count), torch.empty(count), torch.empty(count)
            run(e.data_ptr(), h.data_ptr(), slopes.data_ptr(), count, 0, 0.3, SEED, 1)
            for mine, usual in zip((h, slopes), ops.OPS.node_kept(e, known, 0.3, torch.tensor(SEED)), strict=True):
                assert (~np.isclose(mine, usual, rtol=1e-4, atol=1e-5, equal_nan=True)).sum() <= 1, (name, count)


@pytest.mark.parametrize("name", ["Spin", "Bit", "Relu", "SpinWithMeasure", "Gelu"])
def test_draws_in_bfloat16(target: Target, name: str) -> None:
    """Stored in 16 bits, computed in 32, rounded to the nearest."""
    e = energies(1100).bfloat16()
    known, seed = target.laws[name].name, torch.tensor(SEED)
    wide = target.node(e.float(), known, 0.5, seed)
    assert torch.equal(target.node(e, known, 0.5, seed), target.rounded(wide))
    g = energies(1100, 1.0).bfloat16()
    how = target.back(target.laws[name], 0.5, False)
    if target.name == "c" and how == 2:
        for mine, other in zip(target.node_kept(e, known, 0.5, seed), target.node_kept(e.float(), known, 0.5, seed), strict=True):
            assert torch.equal(mine, other.to(mine.dtype))  # slopes stay in 32 bits
        return
    saved = e if how else target.node(e, known, 0.5, seed)
    slopes = target.node_backward(g.float(), saved.float(), known, how, 0.5, seed)
    assert torch.equal(target.node_backward(g, saved, known, how, 0.5, seed), target.rounded(slopes))
    ends = torch.tensor([float("nan"), float("inf"), -float("inf"), 3.3e38, 1e-40]).bfloat16()
    ends = ends[: 4 if target.name == "triton" else 5]  # whose interpreter has no such small ones
    torch.testing.assert_close(target.node(ends, "Gaussian", 0.0, None), ends, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", DRAWN)
def test_rates_are_kept(ops: ModuleType, name: str) -> None:
    """As many draws as the rate says, and their mean is the expectation, within five standard errors."""
    law, known = laws()[name], ops.LAWS[name].name
    e = torch.full((200_000,), 0.7)
    alone = float(ops.OPS.node(e[:1], known, 0.0, None))
    drawn = ops.OPS.node(e, known, 1.0, torch.tensor(99)).double()
    spread = float(drawn.std())
    exact = float(array(law.expectation, e=np.float64(0.7)))
    assert abs(float(drawn.mean()) - exact) <= 5 * spread / len(e) ** 0.5 + 1e-5 * (1 + abs(exact))
    some = ops.OPS.node(e, known, 0.25, torch.tensor(100))
    other = float((some != alone).float().mean())
    if spread and float((drawn == alone).float().mean()) == 0:
        assert abs(other - 0.25) < 5 * (0.25 * 0.75 / len(e)) ** 0.5
    assert not torch.equal(some, ops.OPS.node(e, known, 0.25, torch.tensor(101)))
    assert torch.equal(some, ops.OPS.node(e, known, 0.25, torch.tensor(100)))


def recurred(name: str, x: torch.Tensor, w: torch.Tensor, past: torch.Tensor, rate: float) -> np.ndarray[Any, Any]:
    """The recurrence step by step in the interpreter."""
    node = NODES[name]
    rows, steps, features = x.shape
    h, result = past.numpy(), []
    for t in range(steps):
        e = x[:, t].numpy() + w.numpy() * h
        if rate:
            assert node.inferred is not None
            h = value(node.inferred, e=e, rate=np.float32(rate), **step_words(node, SEED, rows, features, t))
        else:
            h = value(node.expectation, e=e)
        result.append(h)
    return np.stack(result, 1) if result else np.zeros((rows, 0, features), np.float32)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 13, 300), (0, 4, 5), (2, 0, 3), (1, 2000, 2), (70, 6, 20)])
@pytest.mark.parametrize(("name", "rate"), [("Relu", 0.0), ("Spin", 0.0), ("Spin", 0.4), ("Relu", 0.2), ("RectifiedLogistic", 0.0)])
def test_recurrences(target: Target, name: str, rate: float, shape: tuple[int, int, int]) -> None:
    if target.name == "triton" and math.prod(shape) > 1000:
        shape = (shape[0], min(shape[1], 37), min(shape[2], 40))  # its interpreter is slow
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(shape, generator=generator)
    w = torch.rand(shape[2], generator=generator) * 1.4 - 0.7
    past = torch.randn(shape[0], shape[2], generator=generator)
    seed = torch.tensor(SEED)
    h = target.recurrence(x, w, past, target.laws[name].name, rate, seed if rate else None)
    np.testing.assert_allclose(h.numpy(), recurred(name, x, w, past, rate), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "rate"), [("Relu", 0.0), ("Spin", 0.0), ("Spin", 0.4), ("Relu", 0.2), ("Gaussian", 0.3), ("Gelu", 0.5)])
def test_gradients_of_recurrences(target: Target, name: str, rate: float) -> None:
    """Against autograd through the steps, whose slopes are the interpreter's."""
    node, known = NODES[name], target.laws[name]
    rows, steps, features = 3, 9, 11
    generator = torch.Generator().manual_seed(6)
    x, past = torch.randn(rows, steps, features, generator=generator), torch.randn(rows, features, generator=generator)
    w, g = torch.rand(features, generator=generator) - 0.5, torch.randn(rows, steps, features, generator=generator)
    how = target.back(known, rate, False)
    seed = torch.tensor(SEED) if rate else None
    h = target.recurrence(x, w, past, known.name, rate, seed)
    if target.name == "c" and how == 2:
        again, slopes = target.recurrence_kept(x, w, past, known.name, rate, seed)
        torch.testing.assert_close(again, h, rtol=1e-5, atol=1e-6)
        found = target.recurrence_backward(g, slopes, w, past, h, known.name, 3, rate, None)
    else:
        found = target.recurrence_backward(g, x, w, past, h, known.name, how, rate, seed)
    carry, gx, gw = torch.zeros(rows, features), torch.zeros_like(x), torch.zeros(features)
    for t in reversed(range(steps)):
        before = h[:, t - 1] if t else past
        e = (x[:, t] + w * before).numpy()
        words = step_words(node, SEED, rows, features, t) if rate else {}
        result = node.drawn_slope if rate else node.slope
        assert result is not None
        slope = torch.from_numpy(np.array(np.broadcast_to(value(result, e=e, rate=np.float32(rate), **words), e.shape)))
        gx[:, t] = (g[:, t] + carry) * slope
        gw += (gx[:, t] * before).sum(0)
        carry = gx[:, t] * w
    for mine, expected in zip(found, (gx, gw, carry), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_recurrences_of_averages_over_tables(in_c: Target, rate: float) -> None:
    for shape in ((3, 5, 7), (2, 13, 300), (70, 6, 20)):
        test_recurrences(in_c, "Levels", rate, shape)
    test_gradients_of_recurrences(in_c, "Levels", rate)


def test_recurrences_of_averages_over_tables_in_triton(in_triton: Target) -> None:
    test_recurrences(in_triton, "Levels", 0.4, (2, 2, 3))


def test_what_is_not_contiguous(target: Target) -> None:
    e = energies(600).reshape(20, 30)
    seed = torch.tensor(SEED)
    assert torch.equal(target.node(e.T, "Spin", 0.5, seed), target.node(e.T.contiguous(), "Spin", 0.5, seed))
    wide = e[:1].expand(4, 30)
    assert torch.equal(target.node(wide, "Spin", 0.0, None), target.node(wide.contiguous(), "Spin", 0.0, None))
    g = torch.ones(()).expand(20, 30)
    assert torch.equal(target.node_backward(g, e, "Spin", 1, 0.0, None), target.node_backward(g.contiguous(), e, "Spin", 1, 0.0, None))


def test_threads_do_not_change_what_is_drawn(ops: ModuleType) -> None:
    e, seed, threads = energies(70_001), torch.tensor(SEED), torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(ops.OPS.node(e, "Relu", 0.5, seed))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("more", [NARROW, ["-march=native", "-fopenmp"], pytest.param(MIDDLE, marks=pytest.mark.slow)])
def test_the_source_has_no_warnings_and_no_undefined_behaviour(tmp_path: Path, more: list[str]) -> None:
    """With everything that compilers warn about; run over odd sizes under the sanitizers."""
    if more and not known_here([flag for flag in more if flag.startswith("-mavx")]):
        pytest.skip("not on this processor")
    checked(tmp_path)
    (tmp_path / "main.c").write_text(driver(CHECKED))
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", *([] if more else ["-pedantic", "-Wno-unknown-pragmas"])]
    checks = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["cc", *strict, *checks, *more, str(tmp_path / "main.c"), "-o", str(tmp_path / "run"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    ran = subprocess.run([str(tmp_path / "run")], capture_output=True, text=True, env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert ran.returncode == 0, ran.stderr[-3000:]


@pytest.mark.parametrize("half", [[], ["-DFORWARD"], ["-DBACKWARD"]], ids=["whole", "forward", "backward"])
def test_shipped_sources_have_no_warnings(half: list[str]) -> None:
    """Whatever kernels a package has, nothing in its source is left unused."""
    sources = sorted((Path(__file__).parents[2] / "generated").glob("*/kernels/cpu.c"))
    assert len(sources) > 10
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fopenmp", "-O0", "-S", "-o", os.devnull]
    for source in sources:
        done = subprocess.run(["cc", *strict, *half, str(source)], capture_output=True, text=True)
        assert done.returncode == 0, f"{source.parents[1].name}: {done.stderr[-2000:]}"


def gcc() -> bool:
    done = subprocess.run(["cc", "--version"], capture_output=True, text=True)
    return "Free Software Foundation" in done.stdout and platform.machine() == "x86_64"


@pytest.mark.skipif(not gcc(), reason="other compilers tell otherwise what they do")
@pytest.mark.parametrize("least", [pytest.param(40, id="some"), pytest.param(150, id="all", marks=pytest.mark.slow)])
def test_loops_become_vectors(tmp_path: Path, ops: ModuleType, least: int) -> None:
    """Every loop over nodes that computes a law."""
    place = ops.SOURCE if least == 150 else checked(tmp_path)
    # equal functions of two laws would become one
    more = ["-mavx2", "-mfma", "-fopenmp", "-fno-ipa-icf", "-fopt-info-vec-optimized"]
    done = subprocess.run(["cc", *ops.FLAGS, *more, "-c", str(place), "-o", str(tmp_path / "o")], capture_output=True, text=True)
    assert done.returncode == 0
    vectors = {int(line) for line in re.findall(r"cpu.c:(\d+):\d+: optimized: loop vectorized using 32", done.stderr)}
    lines = place.read_text().splitlines()
    calls = re.compile(r"\b(\w+)_(?:expectation|inferred|slope|slope_of_value|drawn|through)\(")
    loops = {
        k + 1: found[1]
        for k, line in enumerate(lines)
        if re.search(r"for \((?:long|int) [ik] .*\+\+\)", line)
        for found in [calls.search(" ".join(lines[k : k + 4]))]
        if found
    }
    missed = {law for k, law in loops.items() if k not in vectors}
    assert len(loops) > least and not missed, missed


def driver(names: list[str]) -> str:
    """A program that calls every kernel on arrays of exactly the size that it is told."""
    calls = "\n".join(
        f"""
        {name}_forward(x, y, s, n, half, rate, 77, 2);
        {name}_forward(x, y, 0, n, half, rate, 77, 2);
        for (int how = 0; how < 2; how++) {name}_backward(x, y, z, n, half, how, 2);
        for (int k = 0; k < 4 && !half; k++) {{
            const long rows = k == 0 ? n / f : k == 1 ? 1 : n / 10, features = k == 0 ? f : k, inner = k == 0 ? 1 : k == 1 ? n : 10 / k;
            if (!rows || !inner) continue;
            {name}_normalised(x, found, w, k ? w : 0, v, v, y, k ? s : 0, rows, features, inner, rate, 77, k == 3, 2);
            {name}_normalised_backward(x, x, found, k ? s : y, z, v, v, rows, features, inner, k > 0, 2);
        }}
"""
        for name in names
    )
    calls += "\n".join(
        f"""
        {name}_recur(x, w, x, y, 0, 1, n > 0 ? n / f : 0, f, half, rate, 77, 2);
        {name}_recur(x, w, x, y, s, 1, n > 0 ? n / f : 0, f, half, rate, 77, 2);
        {name}_recur(x, w, x, y, s, n / 10, 2, 5, half, rate, 77, 2);
        {name}_recur(x, w, x, y, 0, n / 10, 2, 5, half, rate, 77, 1);
        for (int kept = 0; kept < 2 && n >= f && !half; kept++) {{
            {name}_normalised_recur(x, found, w, w, v, v, w, x, y, kept ? s : 0, 1, n / f, f, rate, 77, 0, 2);
            {name}_normalised_recur_backward(x, x, found, kept ? s : 0, w, x, y, z, v, v, v, v, 1, n / f, f, 2);
        }}
        for (int how = 0; how < 4; how++) if (how != 2) {name}_recur_backward(x, x, s, w, x, y, z, v, z, 1, n / f, f, half, how, 2);"""
        for name in names
        if name in RECURRENT
    )
    chains = "".join(f"TRY({n}, {(n + 7) // 8 * 8})" for n in CHAINS)
    return f"""#include "cpu.c"
void *malloc(unsigned long);
void free(void *);
#define TRY(n, w) {{ \\
    float *e = malloc(3 * 5 * n * 4), *alpha = malloc(3 * 5 * w * 4), *next = malloc(3 * 5 * w * 4), *ge = malloc(3 * 5 * n * 4); \\
    float *pair = malloc(n * n * 4), *whole = malloc(n * n * 4), *shifted = malloc(n * n * 4); \\
    float *shares = malloc(3 * 5 * w * 4), *later = malloc(3 * 5 * w * 4); \\
    float z[3], g[3] = {{1, -2, 0.5f}}; \\
    int lost[3]; \\
    for (int i = 0; i < 3 * 5 * n; i++) e[i] = (float)(i % 7) * 40.0f; \\
    for (int i = 0; i < n * n; i++) pair[i] = i % 3 ? -200.0f : 1.0f; \\
    long y[15]; \\
    for (int i = 0; i < 15; i++) y[i] = i % n; \\
    for (int more = 0; more < 2; more++) {{ \\
        const long *states = more ? y : 0, *ends = more ? lengths : 0; \\
        const float *more_pair = more ? pair : 0; \\
        chain_##n##_forward(e, pair, more_pair, more_pair, states, ends, z, alpha, next, lost, 3, 5, 2); \\
        chain_##n##_backward(g, alpha, next, lost, pair, states, ends, ge, shares, later, whole, shifted, 3, 5, 2); \\
    }} \\
    free(e), free(alpha), free(next), free(ge), free(pair), free(whole), free(shifted), free(shares), free(later); \\
}}
int main(void) {{
    const long sizes[] = {{0, 1, 255, 257, 1031, 2049}};
    const float ends[] = {{0, -0.0f, 1e30f, -1e30f, 1.0f / 0.0f, -1.0f / 0.0f, 0.0f / 0.0f, 1e-42f}};
    for (int size = 0; size < 6; size++)
    for (int half = 0; half < 2; half++)
    for (int r = 0; r < 3; r++) {{
        const long n = sizes[size], f = n > 300 ? 257 : n > 0 ? n : 1, width = half ? 2 : 4, room = n > f ? n : f;
        const float rate = 0.5f * (float)r;
        void *x = malloc((unsigned long)(room * width)), *y = malloc((unsigned long)(room * width));
        void *z = malloc((unsigned long)(room * width));
        float *w = malloc((unsigned long)f * 4), *v = malloc((unsigned long)f * 4), *s = malloc((unsigned long)room * 4);
        float *found = malloc((unsigned long)f * 16);
        for (long i = 0; i < room; i++) s[i] = 1;
        for (long i = 0; i < room; i++) {{
            if (half) ((u16 *)x)[i] = (u16)(bits_of(ends[i % 8]) >> 16), ((u16 *)y)[i] = 0;
            else ((float *)x)[i] = ends[i % 8], ((float *)y)[i] = 0;
        }}
        for (long i = 0; i < f; i++) w[i] = ends[(i + 3) % 8], v[i] = 1;
        if (!half && all_within(x, n, 0, 1, r & 1) != (n < 3)) return 1; /* the third is large */
        {calls}
        free(x), free(y), free(z), free(w), free(v), free(s), free(found);
    }}
    const long lengths[] = {{3, 1, 5}};
    {chains}
    return 0;
}}
"""
