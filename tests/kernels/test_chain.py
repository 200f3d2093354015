"""The kernel that sums over the states of chains, against sums in logarithms in float64, and against all paths."""

from __future__ import annotations

import itertools
from types import ModuleType

import pytest
import torch
from torch import Tensor


def plain(e: Tensor, pair: Tensor, lengths: Tensor | None) -> Tensor:
    """log Z by the textbook, in float64."""
    e, pair = e.double(), pair.double()
    s = [e[:, 0]]
    for t in range(1, e.shape[1]):
        s.append(e[:, t] + (s[-1][:, :, None] + pair).logsumexp(1))
    steps = torch.stack(s, 1)
    last = steps[:, -1] if lengths is None else steps[torch.arange(len(e)), lengths - 1]
    return last.logsumexp(-1)


def check(ops: ModuleType, e: Tensor, pair: Tensor, lengths: Tensor | None = None, rtol: float = 1e-5) -> None:
    found, g = [], torch.randn(len(e), generator=torch.Generator().manual_seed(1))
    for way in (lambda e, pair, lengths: -ops.chain(None, e[None], pair, None, None, lengths)[0], plain):
        leaves = e.clone().requires_grad_(), pair.clone().requires_grad_()
        z = way(*leaves, lengths)
        (z * g).sum().backward()
        found.append((z.detach(), *(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves)))
    (z, ge, gp), (z_, ge_, gp_) = found
    torch.testing.assert_close(z.double(), z_, rtol=rtol, atol=1e-4)
    torch.testing.assert_close(ge, ge_, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(gp, gp_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("rows", "steps", "states"), [(1, 1, 1), (3, 7, 5), (2, 1, 4), (17, 30, 13), (2, 400, 3), (5, 6, 1), (3, 4, 40)])
def test_odd_sizes(ops: ModuleType, rows: int, steps: int, states: int) -> None:
    torch.manual_seed(rows + states)
    check(ops, torch.randn(rows, steps, states) * 2, torch.randn(states, states))


def test_lengths(ops: ModuleType) -> None:
    torch.manual_seed(0)
    check(ops, torch.randn(6, 9, 4) * 3, torch.randn(4, 4), torch.tensor([9, 1, 4, 8, 2, 5]))


def test_every_path(ops: ModuleType) -> None:
    torch.manual_seed(0)
    e, pair = torch.randn(1, 5, 3), torch.randn(3, 3)
    scores = [
        sum(e[0, t, y[t]] for t in range(5)) + sum(pair[a, b] for a, b in itertools.pairwise(y))
        for y in itertools.product(range(3), repeat=5)
    ]
    torch.testing.assert_close(
        -ops.chain(None, e[None], pair, None, None, None)[0, 0], torch.stack(scores).logsumexp(0), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("size", [30.0, 300.0, 3000.0])
def test_where_shares_would_be_lost(ops: ModuleType, size: float) -> None:
    """What is impossible so far may be all that is left later: such rows are summed in logarithms."""
    torch.manual_seed(2)
    e = torch.randn(4, 12, 3)
    e[1, 5:] += size * torch.tensor([1.0, -1, 0])
    e[2, :6] += size * torch.tensor([1.0, -1, -1])
    e[2, 6:] += size * torch.tensor([-1.0, 1, 1])
    pair = torch.full((3, 3), -size) + (size + 1) * torch.eye(3)
    check(ops, e, pair, torch.tensor([12, 9, 12, 3]), rtol=2e-6)


def test_no_rows(ops: ModuleType) -> None:
    e, pair = torch.zeros(0, 4, 3, requires_grad=True), torch.zeros(3, 3, requires_grad=True)
    ops.chain(None, e[None], pair, None, None, None).sum().backward()
    assert e.grad is not None and e.grad.shape == (0, 4, 3) and pair.grad is not None and not pair.grad.any()


@pytest.mark.parametrize("lost", [False, True])
def test_the_likelihood_of_states(ops: ModuleType, lost: bool) -> None:
    """Score less log Z, with what is added to the ends, and all gradients."""
    torch.manual_seed(3)
    rows, steps, states = 5, 7, 4
    e, y, lengths = torch.randn(rows, steps, states), torch.randint(states, (rows, steps)), torch.tensor([7, 1, 3, 6, 2])
    if lost:
        e[0, 3:] += torch.tensor([300.0, -300, 0, 0])
    weights = torch.randn(states, states) - lost * 200 * (1 - torch.eye(states)), torch.randn(states), torch.randn(states)
    # behind the end anything may stand
    y[1, 1:], y[4, 3:] = 99, -7
    found, g = [], torch.randn(rows)
    for fused in (True, False):
        leaves = [t.clone().requires_grad_() for t in (e, *weights)]
        own, pair, start, end = leaves
        if fused:
            log_p = ops.chain(y, own[None], pair, start, end, lengths)[0]
        else:
            step = torch.arange(steps)
            wide = own + start * (step == 0)[:, None] + end * (step == lengths[:, None] - 1)[..., None]
            scores = [
                sum(wide[r, t, y[r, t]] for t in range(n)) + sum(pair[y[r, t - 1], y[r, t]] for t in range(1, n))
                for r, n in enumerate(lengths)
            ]
            log_p = torch.stack(scores).double() - plain(wide, pair, lengths)
        (log_p * g).sum().backward()
        found.append([log_p.detach().double(), *(leaf.grad for leaf in leaves)])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=2e-4 if lost else 2e-5)


def test_what_is_no_state_is_refused(ops: ModuleType) -> None:
    e, pair = torch.randn(1, 2, 3, 4), torch.randn(4, 4)
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=r"0 \.\.\. 3"):
            ops.chain(torch.tensor([[0, 1, 2], [3, wrong, 0]]), e, pair, None, None, None)


def test_opcheck(ops: ModuleType) -> None:
    e, pair, lengths, y = torch.randn(3, 4, 5), torch.randn(5, 5), torch.tensor([4, 2, 3]), torch.randint(5, (3, 4))
    start, end = torch.randn(5), torch.randn(5)
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(ops.OPS.chain.default, (e, pair, start, end, y, lengths), test_utils=checks)
    z, alpha, predicted, lost = ops.OPS.chain(e, pair, None, None, None, lengths)
    given = (z, alpha, predicted, lost, pair, y, lengths)
    torch.library.opcheck(ops.OPS.chain_backward.default, given, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize(("ends", "cut", "size"), [(False, False, 1.0), (True, False, 3.0), (False, True, 30.0), (True, True, 300.0)])
def test_marginals_are_the_gradient_of_the_partition(ops: ModuleType, ends: bool, cut: bool, size: float) -> None:
    """Of the textbook's sum in float64; they sum to 1 at every step there is, and are 0 behind."""
    torch.manual_seed(7)
    e, pair = size * torch.randn(2, 3, 8, 5), torch.randn(5, 5)
    start, end = (torch.randn(5), torch.randn(5)) if ends else (None, None)
    lengths = torch.tensor([8, 1, 5]) if cut else None
    with torch.no_grad():
        assert ops.fits_marginals(e, pair, start, end, lengths)
        p = ops.marginals(e, pair, start, end, lengths)
    wide = e.flatten(0, 1).double()
    counts = torch.full((6,), 8) if lengths is None else lengths.repeat(2)
    leaf = wide.clone().requires_grad_()
    shifted = leaf
    if start is not None and end is not None:
        step = torch.arange(8)
        shifted = leaf + start * (step == 0)[:, None] + end * (step == counts[:, None] - 1)[..., None]
    plain(shifted, pair, counts).sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(p.flatten(0, 1).double(), leaf.grad, rtol=1e-4, atol=1e-5)
    valid = (torch.arange(8) < counts[:, None]).double()
    torch.testing.assert_close(p.flatten(0, 1).double().sum(-1), valid, rtol=1e-5, atol=1e-5)


def test_marginals_with_a_gradient_are_torchs(ops: ModuleType) -> None:
    e, pair = torch.randn(1, 2, 4, 5), torch.randn(5, 5)
    assert ops.fits_marginals(e, pair, None, None, None)
    assert not ops.fits_marginals(e.requires_grad_(), pair, None, None, None)
    with torch.no_grad():
        assert ops.fits_marginals(e, pair, None, None, None)
