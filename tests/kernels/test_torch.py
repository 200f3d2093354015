"""Kernels as operations of torch, and models that use them: the same numbers as without, compiled, exported, and where nothing compiles."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from made import imported, written
from torch import Tensor

from cgc.compiler import compile

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    yield imported(written(tmp_path_factory.mktemp("all")))


class Spin:
    """The kernels know a law by the name of its class."""


class Bit:
    """Likewise."""


class Relu:
    """Likewise."""


class Gelu:
    """Likewise; its slope is no function of its value."""


X, W, PAST = torch.randn(3, 6, 5), torch.rand(5), torch.zeros(3, 5)
SEED = torch.tensor(7)
CALLS: dict[str, tuple[Any, ...]] = {
    "node": (X, "Spin", 0.3, SEED),
    "node_backward": (X, X.tanh(), "Spin", 0, 0.3, None),
    "recurrence": (X, W, PAST, "Relu", 0.3, SEED),
    "node_kept": (X, "Relu", 0.3, SEED),
    "recurrence_kept": (X, W, PAST, "Relu", 0.3, SEED),
    "recurrence_backward": (X, X, W, PAST, X.relu(), "Relu", 3, 0.3, None),
}


@pytest.mark.parametrize("name", CALLS)
def test_opcheck(ops: ModuleType, name: str) -> None:
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(getattr(ops.OPS, name).default, CALLS[name], test_utils=checks)


def both(ops: ModuleType, x: Tensor, w: Tensor, rate: float) -> Tensor:
    h: Tensor = ops.recurrence(Relu(), ops.node(Spin(), x, rate, False), w, x[..., :1, :] * 0, rate, False)
    return h.square().mean()


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_compiles_in_one_graph(ops: ModuleType, rate: float) -> None:
    results = []
    for compiled in (False, True):
        torch._dynamo.reset()
        run = torch.compile(both, fullgraph=True, backend="aot_eager") if compiled else both
        x, w = X.clone().requires_grad_(), W.clone().requires_grad_()
        torch.manual_seed(3)
        loss = run(ops, x, w, rate)
        loss.backward()
        results.append((loss.detach(), x.grad, w.grad))
    if rate == 0:
        for plain, other in zip(*results, strict=True):
            torch.testing.assert_close(plain, other)
    assert all(part is not None and part.isfinite().all() for part in results[1])


def test_gradients_are_those_of_the_plain_formula(ops: ModuleType) -> None:
    x, w = X.clone().requires_grad_(), W.clone().requires_grad_()
    both(ops, x, w, 0.0).backward()
    mine = (x.grad, w.grad)
    x, w = X.clone().requires_grad_(), W.clone().requires_grad_()
    h = [x[:, 0] * 0]
    for e in x.tanh().unbind(1):
        h.append(torch.relu(e + w * h[-1]))
    torch.stack(h[1:], 1).square().mean().backward()
    for found, expected in zip(mine, (x.grad, w.grad), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_straight_through_and_blocked_gradients(ops: ModuleType) -> None:
    for straight in (False, True):
        x = torch.full((4000,), 0.3, requires_grad=True)
        torch.manual_seed(0)
        h = ops.node(Spin(), x, 0.5, straight)
        h.sum().backward()
        drawn = h.detach().abs() == 1
        assert 1500 < int(drawn.sum()) < 2500
        slope = 1 - torch.tanh(torch.tensor(0.3)) ** 2
        expected = torch.where(drawn & torch.tensor(not straight), torch.zeros(()), slope)
        torch.testing.assert_close(x.grad, expected.expand(4000), rtol=1e-5, atol=1e-6)


def test_the_seed_comes_from_torch(ops: ModuleType) -> None:
    torch.manual_seed(5)
    first, second = (ops.node(Spin(), X, 0.5, False) for _ in range(2))
    torch.manual_seed(5)
    assert torch.equal(first, ops.node(Spin(), X, 0.5, False)) and not torch.equal(first, second)


def test_a_second_derivative_is_refused_in_words(ops: ModuleType) -> None:
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(ops.node(Gelu(), x, 0.0, False).sum(), x)
    assert not slope.requires_grad
    with pytest.raises(RuntimeError, match="CGC_KERNELS=off"):
        torch.autograd.grad(ops.node(Gelu(), x, 0.0, False).sum(), x, create_graph=True)


# --- few nodes, whose backward pass is torch's own


def drawn(ops: ModuleType, x: Tensor, rate: float = 0.5, law: object = Relu) -> Tensor:
    """Always the same draws."""
    torch.manual_seed(11)
    h: Tensor = ops.node(law(), x, rate, False)
    return h


@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (3, 6, 5), (2**17,)])
@pytest.mark.parametrize(("law", "rate"), [(law, r) for law in (Relu, Spin, Gelu) for r in (0.0, 0.3, 1.0) if r or law is not Spin])
def test_few_nodes_become_what_many_do(ops: ModuleType, shape: tuple[int, ...], rate: float, law: type) -> None:
    x, more = torch.randn(shape, requires_grad=True), 2**17 + 1
    many = torch.cat([x.flatten(), torch.zeros(more - x.numel())])
    few, many = drawn(ops, x * 1, rate, law), drawn(ops, many, rate, law)
    assert few.grad_fn.name() == "MulBackward0" and many.grad_fn.name() in ("_NodeBackward", "_NodeKeptBackward")
    assert torch.equal(few.flatten(), many[: x.numel()])
    g = torch.randn(more)
    (mine,) = torch.autograd.grad(few, x, g[: x.numel()].reshape(shape))
    (other,) = torch.autograd.grad(many, x, g)
    assert torch.equal(mine, other)


@pytest.mark.parametrize(("law", "name"), [(Spin, "tanh"), (Bit, "sigmoid")])
@pytest.mark.parametrize("count", [0, 1, 5000, 2**17 + 1])
def test_what_torch_computes_as_well_is_left_to_it(ops: ModuleType, law: type, name: str, count: int) -> None:
    x = (3 * torch.randn(count)).requires_grad_()
    assert ops.LAWS[law.__name__].in_torch == name and ops.fits(law(), 0.0, x)
    h = ops.node(law(), x, 0.0, False)
    assert h.grad_fn.name() == f"{name.title()}Backward0"
    torch.testing.assert_close(h.detach(), ops.OPS.node(x.detach(), law.__name__, 0.0, None), rtol=1e-6, atol=1e-6)
    (mine,) = torch.autograd.grad(h.sum(), x)
    known = ops.OPS.node_backward(torch.ones(count), h.detach(), law.__name__, 0, 0.0, None)
    torch.testing.assert_close(mine, known, rtol=1e-5, atol=1e-6)


def test_few_nodes_that_lie_apart(ops: ModuleType) -> None:
    wide = torch.randn(6, 8, requires_grad=True)
    results = []
    for x in (wide.t()[::2], wide.t()[::2].contiguous()):
        h = drawn(ops, x)
        results.append((h.detach(), *torch.autograd.grad(h.square().sum(), wide)))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("law", [Relu, Spin])
def test_few_nodes_have_no_second_derivative_either(ops: ModuleType, law: type) -> None:
    x = X.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="CGC_KERNELS=off"):
        torch.autograd.grad(drawn(ops, x, law=law).sum(), x, create_graph=True)
    (slope,) = torch.autograd.grad(drawn(ops, x).sum(), x)
    assert not slope.requires_grad


def test_hooks_of_users_stay_with_their_tensor(ops: ModuleType) -> None:
    x, seen = X.clone().requires_grad_(), []
    first, second = drawn(ops, x), drawn(ops, x)
    handle = first.register_hook(lambda g: seen.append("first"))
    second.register_hook(lambda g: 2 * g)
    (plain,) = torch.autograd.grad(drawn(ops, x).sum(), x)
    (twice,) = torch.autograd.grad(second.sum(), x)
    assert seen == [] and torch.equal(twice, 2 * plain)
    torch.autograd.grad(first.sum(), x, retain_graph=True)
    handle.remove()
    torch.autograd.grad(first.sum(), x)
    assert seen == ["first"]
    kept = drawn(ops, x)
    kept.retain_grad()
    kept.sum().backward()
    assert torch.equal(kept.grad, torch.ones_like(kept))


def test_few_nodes_where_tensors_are_saved_elsewhere(ops: ModuleType) -> None:
    from torch.utils.checkpoint import checkpoint

    x = X.clone().requires_grad_()
    (plain,) = torch.autograd.grad(drawn(ops, x).square().sum(), x)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().copy(), torch.from_numpy):
        h = drawn(ops, x)
    assert torch.equal(torch.autograd.grad(h.square().sum(), x)[0], plain)
    for reentrant in (False, True):
        h = checkpoint(lambda x: drawn(ops, x), x, use_reentrant=reentrant)
        h.square().sum().backward()
        assert torch.equal(x.grad, plain)
        x.grad = None


def test_tangents_of_few_nodes(ops: ModuleType) -> None:
    from torch.autograd import forward_ad

    x, t = X.clone().requires_grad_(), torch.randn_like(X)
    (slopes,) = torch.autograd.grad(drawn(ops, x).sum(), x)
    with forward_ad.dual_level():
        value, tangent = forward_ad.unpack_dual(drawn(ops, forward_ad.make_dual(x, t)))
    torch.testing.assert_close(tangent, t * slopes)
    assert torch.equal(value, drawn(ops, x))


def test_each_thread_has_a_place_for_its_seed(ops: ModuleType) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def draws(_: int) -> Tensor:
        with torch.inference_mode():
            ops.SEED.drawn()
        return torch.stack([ops.node(Relu(), torch.ones(64, requires_grad=True), 1.0, False).detach() for _ in range(50)])

    with ThreadPoolExecutor(4) as pool:
        found = torch.cat(list(pool.map(draws, range(4))))
    assert len(found.unique(dim=0)) == len(found)


def test_a_trace_draws_anew(ops: ModuleType) -> None:
    traced = torch.jit.trace(lambda x: ops.node(Relu(), x, 1.0, False), (torch.ones(64, requires_grad=True),), check_trace=False)
    first, second = (traced(torch.ones(64, requires_grad=True)) for _ in range(2))
    assert not torch.equal(first, second) and first.min() >= 0 and first.max() > 1


def test_transforms_of_functions_see_the_plain_path(ops: ModuleType) -> None:
    x = torch.rand(100, 100)
    assert ops.fits(Spin(), 0.5, x)
    seen: list[bool] = []

    def function(x: Tensor) -> Tensor:
        seen.append(ops.fits(Spin(), 0.5, x))
        return x.sum()

    torch.func.grad(function)(x)
    torch.vmap(function)(x)
    assert seen == [False, False]


def test_fake_tensors_and_other_dtypes(ops: ModuleType) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert ops.node(Spin(), torch.empty(4, 3), 0.5, False).shape == (4, 3)
    assert not ops.fits(Spin(), 0.5, X.double()) and not ops.fits(Spin(), 0.5, X.half()) and ops.fits(Spin(), 0.5, X.bfloat16())
    assert not ops.fits(Spin(), 0.5, X.to("meta")) and not ops.fits(object(), 0.5, X)
    # few energies, or what torch does at once, are torch's
    many, most = torch.empty(100, 100), torch.empty(300, 300)
    assert not ops.fits(Gelu(), 0.0, X) and ops.fits(Gelu(), 0.0, many) and not ops.fits(Relu(), 0.0, most)
    assert ops.fits(Spin(), 0.1, X)


# --- packages

USE = """
import sys, warnings
import torch
warnings.simplefilter("always")
import {name}
torch.manual_seed(0)
model = {name}.Model()
model.inference({inference})
x, y = {data}
torch.manual_seed(1)
loss = model.loss(x, y)
loss.backward()
torch.save((loss.detach(), model(x).detach(), {{n: p.grad for n, p in model.named_parameters()}}), sys.argv[1])
"""
ROWS = "torch.rand(16, 8, 8), torch.randint(10, (16,))"
MODELS = {
    "indrnn": ROWS, "indrnn_deep": ROWS, "indrnn_residual": ROWS, "srn": ROWS, "gru": ROWS,
    "digits_dense": "torch.rand(200, 64), torch.randint(10, (200,))", "mnist_dense": "torch.rand(20, 784), torch.randint(10, (20,))",
    "conv": "torch.randint(2, (9, 1, 8, 8)).float(), torch.randint(10, (9,))",
}  # fmt: skip


def used(folder: Path, name: str, inference: str, **environment: str) -> tuple[Any, str]:
    """What a process computes with the shipped package, and what it says."""
    place = folder / f"{len(list(folder.iterdir()))}.pt"
    code = USE.format(name=name, inference=inference, data=MODELS[name])
    known = {**os.environ, "PYTHONPATH": str(ROOT / "generated"), **environment}
    done = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, env=known, cwd=folder)
    assert done.returncode == 0, done.stderr
    return torch.load(place, weights_only=True), done.stderr


def shipped(name: str) -> ModuleType:
    """A package of this checkout."""
    sys.path.insert(0, str(ROOT / "generated"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def trained(package: ModuleType, kernels: ModuleType | None, *inference: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Loss, energies and gradients of a new model, always the same, with and without kernels."""
    torch.manual_seed(0)
    model = package.Model()
    model.inference(*inference)
    if package.__name__ == "tagger_crf":
        data: list[Any] = [torch.randint(50, (9, 12)), torch.randint(6, (9, 12)), torch.randint(1, 13, (9,))]
    else:
        data = list(eval(MODELS[package.__name__]))
    whole, package.model.kernels = package.model.kernels, kernels
    try:
        loss = model.loss(*data)
        loss.backward()
        e = model.eval()(data[0], *data[2:])
    finally:
        package.model.kernels = whole
    return loss.detach(), e.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", [*MODELS, "tagger_crf"])
def test_models_are_the_same_with_and_without(name: str) -> None:
    package = shipped(name)
    assert package.kernels.library() is not None
    (loss, e, grads), (loss_, e_, grads_) = (trained(package, kernels, "feed_forward") for kernels in (package.kernels, None))
    torch.testing.assert_close(loss, loss_, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(e, e_, rtol=1e-5, atol=1e-5)
    assert set(grads) == set(grads_)
    for key in grads:
        torch.testing.assert_close(grads[key], grads_[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loaded", [True, False])
def test_what_cannot_be_an_input_or_a_target_is_refused(monkeypatch: pytest.MonkeyPatch, loaded: bool) -> None:
    """Whether a kernel looks at it or torch."""
    package = shipped("transfer")
    assert package.kernels.library() is not None and package.kernels.LOADED
    if not loaded:
        monkeypatch.setattr(package.kernels, "LOADED", [])
    model, x, y = package.Model(), torch.rand(5, 64), torch.randint(2, (5,))
    seen = []
    whole = package.kernels.within
    monkeypatch.setattr(package.kernels, "within", lambda *given, **more: seen.append(whole(*given, **more)) or seen[-1])
    for inference in ("feed_forward", "pcff", "sample"):
        model.inference(inference)
        model.loss(x, y).backward()
        assert seen and set(seen) == {loaded}
        seen.clear()
        for wrong in (float("nan"), 1.5, -0.1, float("inf")):
            bad, target = x.clone(), y.float()
            bad[3, 60], target[4] = wrong, wrong
            with pytest.raises(ValueError, match=r"inputs must lie in \[0, 1\]"):
                model.loss(bad, y)
            with pytest.raises(ValueError, match="states must be one of 0, 1"):
                model.loss(x, target)
        seen.clear()


@pytest.mark.parametrize("name, inner", [("conv", "_normalised"), ("digits_dense", "_normalised"), ("indrnn", "_normalised_steps")])
def test_models_normalise_where_they_draw(monkeypatch: pytest.MonkeyPatch, name: str, inner: str) -> None:
    """As many times as there are hidden layers, in training and, where nothing has a gradient, in evaluation."""
    package, seen = shipped(name), []
    usual = getattr(package.kernels, inner)
    monkeypatch.setattr(package.kernels, inner, lambda *given: seen.append(len(given)) or usual(*given))
    model, (x, y) = package.Model().inference("pcff", 0.3), eval(MODELS[name])
    model.loss(x, y).backward()
    normalised = sum(type(module).__name__ == "BatchNorm" for module in model.modules())
    assert len(seen) == normalised > 0
    with torch.no_grad():
        model.eval()(x)
    assert len(seen) == 2 * normalised


@pytest.mark.parametrize("name", ["conv", "mnist_dense", "indrnn"])
def test_exported_for_batches_of_any_size(name: str) -> None:
    """Neither layers nor kernels look at how many rows there are."""
    torch.manual_seed(0)
    model, x = shipped(name).Model().eval(), eval(MODELS[name])[0]
    batch = torch.export.Dim("batch", min=2, max=100_000)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
    many = torch.cat([x] * 40)
    torch.testing.assert_close(exported.module()(many), model(many), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["indrnn", "mnist_dense", "srn", "tagger_crf"])
def test_pcff_trains_with_and_without(name: str) -> None:
    """Other draws, of the same distribution: losses of untrained networks are near each other."""
    package = shipped(name)
    (loss, _, grads), (loss_, _, grads_) = (trained(package, kernels, "pcff", 0.3) for kernels in (package.kernels, None))
    assert abs(loss - loss_) < 0.6 * loss_ and loss != loss_
    for key in grads:
        assert grads[key].isfinite().all() and bool(grads[key].any()) == bool(grads_[key].any())


def test_marginals_are_the_same_with_and_without() -> None:
    """Through the package, where sequences end early too."""
    package = shipped("tagger_crf")
    torch.manual_seed(0)
    model, x, lengths = package.Model().eval(), torch.randint(50, (9, 12)), torch.randint(1, 13, (9,))
    whole = package.model.kernels
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        found = model.expectation(x, lengths)
        package.model.kernels = None
        try:
            torch.testing.assert_close(found, model.expectation(x, lengths), rtol=1e-5, atol=1e-6)
        finally:
            package.model.kernels = whole


def broken(folder: Path, script: str) -> str:
    place = folder / "cc"
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return str(place)


def test_where_nothing_compiles_it_still_computes_and_says_so_once(tmp_path: Path) -> None:
    (expected, _, _), quiet = used(tmp_path, "indrnn", '"feed_forward"', CGC_KERNELS="off")
    assert quiet == ""
    failing = broken(tmp_path, "echo no room >&2; exit 1")
    nothing = {"CC": "no-such-compiler", "PATH": str(tmp_path / "empty")}
    for environment, why in (({"CC": failing}, "no room"), (nothing, "there is no C compiler")):
        fresh = tmp_path / f"cache {len(why)}"
        (loss, _, _), said = used(tmp_path, "indrnn", '"feed_forward"', CGC_KERNEL_CACHE=str(fresh), **environment)
        assert loss == expected
        assert said.count("computed without fused kernels") == 1 and why in said and "Traceback" not in said
    garbage = broken(tmp_path, 'for last; do :; done; while [ "$1" != -o ]; do shift; done; echo garbage > "$2"')
    (loss, _, _), said = used(tmp_path, "indrnn", '"feed_forward"', CGC_KERNEL_CACHE=str(tmp_path / "garbage"), CC=garbage)
    assert loss == expected and said.count("computed without fused kernels") == 1


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in its place: as good as a folder without permission, which root has everywhere."""
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    _, said = used(tmp_path, "indrnn", '"feed_forward"', CGC_KERNEL_CACHE=str(blocked), TMPDIR=str(tmp_path))
    assert "without fused kernels" not in said and list(tmp_path.glob("cgc-kernels-*/*.so"))


def test_two_processes_compile_at_once(tmp_path: Path) -> None:
    code = USE.format(name="indrnn", inference='"feed_forward"', data=ROWS)
    known = {**os.environ, "PYTHONPATH": str(ROOT / "generated"), "CGC_KERNEL_CACHE": str(tmp_path / "cache")}
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / f"{k}.pt")], env=known, stderr=subprocess.PIPE) for k in range(3)
    ]
    said = [process.communicate()[1] for process in running]
    assert all(process.returncode == 0 for process in running) and not any(said)
    losses = [torch.load(tmp_path / f"{k}.pt", weights_only=True)[0] for k in range(3)]
    assert losses[0] == losses[1] == losses[2]
    (library,) = (tmp_path / "cache").iterdir()
    assert library.suffix == ".so"


def test_a_model_is_compiled_exported_and_trained_in_half_precision(tmp_path: Path) -> None:
    indrnn = shipped("indrnn")
    torch.manual_seed(0)
    model = indrnn.Model()
    x, y = torch.rand(4, 8, 8), torch.randint(10, (4,))
    with torch.no_grad():
        expected = model.eval()(x)
        assert indrnn.model.kernels.library() is not None
        torch._dynamo.reset()
        torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), expected)
        exported = torch.export.export(model, (x,))
        torch.testing.assert_close(exported.module()(x), expected)
        assert any("recurrence" in str(node.target) for node in exported.graph.nodes)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x, y)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


SHARDED = """
import os
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel
import indrnn

dist.init_process_group("gloo")
torch.manual_seed(1)
x, y = torch.rand(8, 8, 8), torch.randint(10, (8,))
found = []
for way in ("alone", "ddp", "fsdp"):
    torch.manual_seed(0)
    model = indrnn.Model()
    if way == "ddp":
        wrapped = DistributedDataParallel(model)
        torch.nn.functional.cross_entropy(wrapped(x), y).backward()
    else:
        if way == "fsdp":
            mesh = init_device_mesh("cpu", (dist.get_world_size(),))
            for part in (*model.h, model):
                fully_shard(part, mesh=mesh)
            register_fsdp_forward_method(model, "loss")
        model.loss(x, y).backward()
    found.append({n: p.grad.full_tensor() if way == "fsdp" else p.grad for n, p in model.named_parameters()})
assert indrnn.kernels.library() is not None
for other in found[1:]:
    for name, grad in found[0].items():
        torch.testing.assert_close(other[name], grad, rtol=1e-4, atol=1e-6)
dist.barrier()
print("right", flush=True)
os._exit(0)  # threads of a backend may abort a process that waits for them
"""


def test_several_processes(tmp_path: Path) -> None:
    """DDP and FSDP2 give every parameter the gradient that one process gives it."""
    (tmp_path / "run.py").write_text(SHARDED)
    known = {**os.environ, "PYTHONPATH": str(ROOT / "generated"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "run.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=known)
    assert done.returncode == 0 and done.stdout.count("right") == 2, done.stderr[-3000:]


def test_families_whose_names_differ_little(tmp_path: Path) -> None:
    """`ab_c` and `abc` are AbC and Abc in model.py, and two functions in C; what is its energy has no kernel."""
    (tmp_path / "spec.yaml").write_text("""cgc: 1
name: alike
families: {ab_c: {kind: binary, values: [0, 1]}, abc: {kind: binary, values: [-1, 1]}, same: {kind: gaussian, std: 0}}
time: {steps: 3}
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  a: {nodes: 4, family: ab_c, parents: {x: dense}}
  b: {nodes: 4, family: abc, parents: {a: dense}}
  c: {nodes: 4, family: same, parents: {b: dense, c: {kind: elementwise, lag: 1}}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 2}, parents: {c: dense}}
""")
    package = imported(compile(tmp_path / "spec.yaml", output=tmp_path) / "kernels", "alike_kernels")
    assert package.library() is not None and set(package.LAWS) == {"AbC", "Abc"}
    e = torch.randn(9)
    for law, exact in (("AbC", torch.sigmoid(e)), ("Abc", torch.tanh(e))):
        torch.testing.assert_close(package.OPS.node(e, package.LAWS[law].name, 0.0, None), exact)
