"""Nodes whose energies are normalised by the batch: normalised and inferred at once they are what torch and the kernels of nodes make."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from made import nodes
from torch import Tensor

SHAPES = [(64, 5, 1), (7, 300, 1), (3, 2, 9), (4, 17, 33), (2, 1, 700), (1, 3, 2)]


class BatchNorm(torch.nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(size) + 0.5)
        self.register_buffer("running_mean", torch.randn(size))
        self.register_buffer("running_var", torch.rand(size) + 0.5)


@pytest.fixture(autouse=True)
def few(ops: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "UNDRAWN", 0)


def law(name: str) -> Any:
    return type(name, (), {})()


def given(shape: tuple[int, int, int], seed: int = 0) -> tuple[Tensor, BatchNorm, Tensor]:
    torch.manual_seed(seed)
    a = torch.randn(shape) * (torch.arange(shape[1])[:, None] + 1) + 3
    return a.requires_grad_(), BatchNorm(shape[1]), torch.randn(shape[1]).requires_grad_()


def plain(a: Tensor, norm: BatchNorm, bias: Tensor | None) -> Tensor:
    return F.batch_norm(a, norm.running_mean, norm.running_var, norm.weight, bias, True)


def close(mine: Tensor, other: Tensor) -> None:
    scale = 1 + float(other.detach().abs().nan_to_num(0, 0, 0).max()) if other.numel() else 1
    torch.testing.assert_close(mine, other.to(mine.dtype), rtol=1e-5, atol=4e-6 * scale, equal_nan=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["Relu", "Spin", "Gelu", "RectifiedLogistic"])
def test_expectations_and_gradients(ops: ModuleType, name: str, shape: tuple[int, int, int]) -> None:
    a, norm, bias = given(shape)
    exact, known, shift = a.detach().double().requires_grad_(), BatchNorm(shape[1]).double(), bias.detach().double().requires_grad_()
    known.load_state_dict(norm.state_dict())
    h = ops.normalised(law(name), norm, a, bias, 1, 0.0, False)
    e = plain(exact, known, shift)
    close(h, ops.node(law(name), e.float(), 0.0, False))
    # slopes are those of the kernel for nodes on their own, at float energies
    g, energy = torch.randn(shape), e.detach().float().requires_grad_()
    (slopes,) = torch.autograd.grad(ops.node(law(name), energy, 0.0, False), energy, g)
    mine = torch.autograd.grad(h, [a, norm.weight, bias], g)
    for one, other in zip(mine, torch.autograd.grad(e, [exact, known.weight, shift], slopes.double()), strict=True):
        close(one, other)
    close(norm.running_mean, known.running_mean)
    close(norm.running_var, known.running_var)


@pytest.mark.parametrize("rate", [0.3, 1.0])
@pytest.mark.parametrize("name", sorted(nodes()))
def test_draws_of_all_families(ops: ModuleType, name: str, rate: float) -> None:
    if not ops.LAWS[name].drawn:
        assert ops.normalised(law(name), given(SHAPES[0])[1], given(SHAPES[0])[0], None, 1, rate, False) is None
        return
    for shape in SHAPES[1:4:2]:
        a, norm, bias = given(shape)
        torch.manual_seed(1)
        h = ops.normalised(law(name), norm, a, bias, 1, rate, False)
        e = plain(a.detach(), norm, bias.detach()).requires_grad_()
        torch.manual_seed(1)
        other = ops.node(law(name), e, rate, False)
        g = torch.randn(shape)
        (slopes,) = torch.autograd.grad(other, e, g)
        whole = torch.autograd.grad(plain(a, norm, bias), [a, norm.weight, bias], slopes)
        found = torch.autograd.grad(h, [a, norm.weight, bias], g)
        # the same words: where energies differ in their last digits, a decision may fall the other way
        apart = (h - other).abs() > 1e-3 * (1 + other.abs())
        assert int(apart.sum()) <= 1
        if not apart.any() and other.isfinite().all() and slopes.isfinite().all():
            for one, two in zip(found, whole, strict=True):
                torch.testing.assert_close(one, two, rtol=1e-2, atol=1e-3 * (1 + float(two.abs().max())))


def test_statistics_keep_their_digits(ops: ModuleType) -> None:
    a = (torch.randn(500, 3, 20) + 1000).requires_grad_()
    norm, bias = BatchNorm(3), torch.zeros(3)
    with torch.no_grad():
        norm.running_mean.zero_()
        norm.running_var.zero_()
    ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False)
    wide = a.detach().double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean.double() * 10, wide.mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(norm.running_var.double() * 10, wide.var(1), rtol=1e-6, atol=0)


def test_one_value_alone_has_no_spread_and_no_nan(ops: ModuleType) -> None:
    a, norm, bias = torch.full((6, 2, 4), 0.1).requires_grad_(), BatchNorm(2), torch.ones(2)
    h = ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False)
    torch.testing.assert_close(h, torch.ones_like(h), rtol=0, atol=1e-3)
    assert ops.normalised(law("Relu"), norm, a[:1, :, :1], bias, 1, 0.0, False) is None, "torch says what is wrong"
    assert ops.normalised(law("Relu"), norm, a[:0], bias, 1, 0.0, False) is None


@pytest.mark.parametrize("rows, inner", [(64, 40), (70, 1)])
def test_several_threads_give_the_same(ops: ModuleType, rows: int, inner: int) -> None:
    a, norm, bias = given((rows, 600, inner))
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        h = ops.normalised(law("Relu"), norm, a, bias, 1, 0.3, False)
        found.append([h, *torch.autograd.grad(h.square().sum(), [a, norm.weight, bias])])
    torch.set_num_threads(before)
    assert all(map(torch.equal, found[0], found[1])) and all(map(torch.equal, found[0], found[2]))


def test_where_it_is_left_to_torch(ops: ModuleType) -> None:
    a, norm, bias = given((8, 4, 1))

    def fits(**new: Any) -> Tensor | None:
        usual = {"law": law("Relu"), "norm": norm, "a": a, "bias": bias, "axis": 1, "rate": 0.3, "straight": False}
        return ops.normalised(**(usual | new))

    assert fits() is not None
    assert fits(bias=None) is not None
    assert fits(a=a.double()) is None
    assert fits(a=a.bfloat16()) is None
    assert fits(a=a.expand(2, 8, 4, 1)[:, :, ::2]) is None
    assert fits(law=law("Unknown")) is None
    handle = norm.register_forward_hook(lambda *_: None)
    assert fits() is None, "whoever looks on sees what is normalised"
    handle.remove()
    with torch.autograd.forward_ad.dual_level():
        assert fits() is None
    assert fits(norm=torch.nn.BatchNorm1d(4)) is None and fits(norm=torch.nn.Identity()) is None
    scaled = copy.deepcopy(norm)
    torch.nn.utils.parametrize.register_parametrization(scaled, "weight", torch.nn.Softplus())
    assert fits(norm=scaled) is None
    assert fits(norm=norm.eval()) is None, "of remembered statistics there is no derivative here"
    norm.train().double()
    assert fits() is None
    norm.float()
    assert ops.normalised(law("Spin"), norm, a, bias, 1, 0.3, True) is None, "what is drawn has the slope of its expectation"


def test_few_nodes_without_gradients(ops: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few nodes that are not drawn the derivatives are torch's; where there are none, a kernel takes less time."""
    monkeypatch.setattr(ops, "UNDRAWN", 2**17)
    a, norm, bias = given((8, 4, 3))
    assert ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False) is None
    norm.eval()
    assert ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False) is None
    with torch.no_grad():
        e = F.batch_norm(a, norm.running_mean, norm.running_var, norm.weight, bias, False)
        close(ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False), torch.relu(e))
    frozen = ops.normalised(law("Relu"), norm.requires_grad_(False), a.detach(), bias.detach(), 1, 0.0, False)
    close(frozen, torch.relu(e))


def test_a_module_may_change_after_it_was_seen(ops: ModuleType) -> None:
    """Where parameters and statistics lie is remembered; what is there, or elsewhere, counts."""
    a, norm, bias = given((8, 4, 3))
    a, norm, bias = a.detach(), norm.requires_grad_(False).eval(), bias.detach()

    def same() -> bool:
        h = ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False)
        known = F.batch_norm(a, norm.running_mean.float(), norm.running_var.float(), norm.weight.float(), bias, False)
        if h is not None:
            close(h, torch.relu(known))
        return h is not None

    assert same()
    with torch.no_grad():
        norm.weight.mul_(2)
    assert same()
    norm.running_mean = torch.randn(4)
    assert same()
    norm.load_state_dict(BatchNorm(4).state_dict())
    assert same()
    norm.running_var = torch.rand(4).double()
    assert not same()
    norm.running_var = torch.rand(8)[::2]
    assert not same()
    norm.running_var = torch.rand(4)
    assert same()
    norm.weight.data = torch.rand(4)
    assert same()
    norm.double()
    assert not same()
    norm.float()
    assert same()
    other = copy.deepcopy(norm)
    other.weight.mul_(3)
    assert same()
    norm = other
    assert same()
    bias = torch.randn(4)
    assert same()
    whole = norm.weight.data
    norm.weight.data = whole[:3]
    assert ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False) is None, "torch says that sizes differ"
    norm.weight.data, bias = whole, torch.randn(5)
    assert ops.normalised(law("Relu"), norm, a, bias, 1, 0.0, False) is None


def test_threads_of_users_do_not_meet(ops: ModuleType) -> None:
    """One module, in several threads at once, each with a batch of its own."""
    _, norm, bias = given((8, 64, 1))
    batches = [(torch.randn(400, 64, 1) * scale + scale).requires_grad_(False) for scale in range(1, 7)]
    known = [torch.relu(F.batch_norm(a, None, None, norm.weight, bias, True)) for a in batches]

    def same(k: int) -> bool:
        with torch.no_grad():
            return bool(torch.allclose(ops.normalised(law("Relu"), norm, batches[k], bias, 1, 0.0, False), known[k], rtol=1e-4, atol=1e-4))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(same, list(range(6)) * 50))


def test_what_is_given_is_looked_at(ops: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yes is certain; whatever else there is torch looks at."""
    nan, inf, within = float("nan"), float("inf"), ops.within
    for count in (0, 1, 7, 64, 1000):
        x = torch.rand(count)
        assert within(x, 0, 1) and within(x.round(), 0, 1, True) and within(x.round(), 0, 1)
        assert within(2 * x.round() - 1, -1, 1, True) and within(x[:0], 0, 1, True)
        for place in range(0, count, 63):
            for wrong in (nan, inf, -inf, 1.0000001, -1e-45, 2.0, -1.0):
                y = x.round()
                y[place] = wrong
                assert not within(y, 0, 1) and not within(y, 0, 1, True), (count, place, wrong)
            y[place] = 0.5
            assert within(y, 0, 1) and not within(y, 0, 1, True)
            y[place] = -0.0
            assert within(y, 0, 1) and within(y, 0, 1, True)
    x = torch.zeros(8, 8)
    assert within(torch.nn.Parameter(x), 0, 1) and within(x[2:], 0, 1)
    assert not within(x.double(), 0, 1) and not within(x.bfloat16(), 0, 1) and not within(x.long(), 0, 1) and not within(x[:, ::2], 0, 1)
    assert not within(torch.zeros(ops.MANY), 0, 1), "which takes several threads"
    assert within(torch.tensor([0.1]), 0.1, 1) == (torch.tensor(0.1).item() >= 0.1) and not within(torch.tensor([0.3]), 0, 0.3)
    monkeypatch.setattr(ops, "LOADED", [])
    assert not within(x, 0, 1), "nothing is compiled for this alone"


def test_a_second_derivative_is_refused_in_words(ops: ModuleType) -> None:
    a, norm, bias = given((8, 4, 1))
    h = ops.normalised(law("Relu"), norm, a, bias, 1, 0.3, False)
    with pytest.raises(RuntimeError, match="no second derivative: CGC_KERNELS=off"):
        torch.autograd.grad(h.sum(), a, create_graph=True)


def test_frozen_parameters_and_inputs(ops: ModuleType) -> None:
    a, norm, bias = given((8, 4, 3))
    norm.requires_grad_(False)
    h = ops.normalised(law("Relu"), norm, a, bias.detach(), 1, 0.3, False)
    h.sum().backward()
    assert a.grad is not None and norm.weight.grad is None
    norm.requires_grad_(True)
    ops.normalised(law("Relu"), norm, a.detach(), None, 1, 0.3, False).sum().backward()
    assert norm.weight.grad is not None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES[:4])
def test_what_has_no_gradient(ops: ModuleType, shape: tuple[int, int, int], training: bool) -> None:
    a, norm, bias = given(shape)
    norm.train(training)
    before = [norm.running_mean.clone(), norm.running_var.clone()]
    for name, rate in (("Relu", 0.0), ("Spin", 0.3), ("Gelu", 0.3)):
        known, (mean, variance) = law(name), (x.clone() for x in before)
        torch.manual_seed(1)
        other = ops.node(known, F.batch_norm(a, mean, variance, norm.weight, bias, training).detach(), rate, True)
        for one, two in zip((norm.running_mean, norm.running_var), before, strict=True):
            one.copy_(two)
        with torch.no_grad():
            torch.manual_seed(1)
            h = ops.normalised(known, norm, a, bias, 1, rate, True)
        assert not h.requires_grad
        assert int(((h - other).abs() > 1e-3 * (1 + other.abs())).sum()) <= 1
        close(norm.running_mean, mean)
        close(norm.running_var, variance)


@pytest.mark.parametrize("shape", [(3, 7, 5), (2, 9, 300), (65, 4, 40), (1, 2, 2)])
@pytest.mark.parametrize(
    "name, rate", [("Relu", 0.0), ("Relu", 0.3), ("Spin", 0.0), ("Spin", 0.3), ("Gelu", 0.3), ("RectifiedLogistic", 1.0)]
)
def test_recurrences(ops: ModuleType, name: str, rate: float, shape: tuple[int, int, int]) -> None:
    """(rows, steps, features): every step of every row counts."""
    torch.manual_seed(0)
    rows, _, features = shape
    module = torch.nn.Module()
    module.normalize, module.bias = BatchNorm(features), torch.nn.Parameter(torch.randn(features))
    a, past = (torch.randn(shape) * 3 + 1).requires_grad_(), torch.randn(rows, 1, features).requires_grad_()
    w, g = torch.rand(features).requires_grad_(), torch.randn(shape)
    leaves = [a, module.normalize.weight, module.bias, w, past]
    before = {key: value.clone() for key, value in module.state_dict().items()}
    torch.manual_seed(1)
    h = ops.recurrence(law(name), a, w, past, rate, False, module)
    after = {key: value.clone() for key, value in module.state_dict().items()}
    found = torch.autograd.grad(h, leaves, g)
    module.load_state_dict(before)
    norm = module.normalize
    e = F.batch_norm(a.flatten(0, 1), norm.running_mean, norm.running_var, norm.weight, module.bias, True).view(shape)
    torch.manual_seed(1)
    other = ops.recurrence(law(name), e, w, past, rate, False)
    for key, value in module.state_dict().items():
        close(after[key], value)
    flipped = ((h - other).abs() > 1e-3 * (1 + other.abs())).any()
    assert rate or not flipped
    if not flipped:
        for one, two in zip(found, torch.autograd.grad(other, leaves, g), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4 * (1 + float(two.abs().max())))
    with torch.no_grad():
        module.load_state_dict(before)
        torch.manual_seed(1)
        assert torch.equal(ops.recurrence(law(name), a, w, past, rate, False, module), h)
