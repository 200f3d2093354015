"""How accurate emitted formulas are: expectation, variance and log-likelihood with their gradients, per dtype, against many digits.

    python benchmarks/formula_accuracy.py [--check] [FAMILY ...]

An error counts relative to |f| + |e f'| (for likelihoods also |x ∂f/∂x|), the size of f and of what a rounding of its arguments does to
it; below 1e-30 everything counts as 0. Likelihoods are measured where they are below 1e30: there is a least scale, 1e-18. Energies run
from -9000 to 9000, with both sides of 0 down to 1e-30. bfloat16 must be float32 rounded once: its column says how many results are not.
Writes results/formula_accuracy.json and prints the table; ``--check`` writes nothing and exits with 1 if the contract is broken.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import mpmath
import torch
from mpmath import mp

from cgc.derive.derivation import Draw
from cgc.derive.derive import exact_moments
from cgc.derive.measure import DIGITS, digits_at
from cgc.derived import Derived, derive
from cgc.formula.dual import dual
from cgc.formula.scalar import Op, Scalar, shared

RESULTS = Path(__file__).parent / "results" / "formula_accuracy.json"
CONTRACT = {"float32": 1e-5, "float64": 1e-12}
TINY = 1e-30
# what does not keep the contract, and why
KNOWN = {("abs", "log p'"): "log p is even in e: near 0 the gradients of the two preimages of x cancel"}

FAMILIES: dict[str, str] = {
    "binary -1, 1": "{kind: binary, values: [-1, 1]}",
    "binary 0, 1": "{kind: binary, values: [0, 1]}",
    "probit 0, 1": "{kind: probit, values: [0, 1]}",
    "probit -1, 1": "{kind: probit, values: [-1, 1]}",
    "gaussian, std 1": "{kind: gaussian, std: 1}",
    "rectified gaussian, std 0.7": "{kind: rectified_gaussian, std: 0.7}",
    "rectified gaussian, std 30": "{kind: rectified_gaussian, std: 30}",
    "rectified gaussian, std tanh e": "{kind: rectified_gaussian, std: tanh(e)}",
    "rectified gaussian, std sigma(e)": "{kind: rectified_gaussian, std: sigmoid(e)}",
    "leaky rectified gaussian": "{kind: rectified_gaussian, std: tanh(e), leak: 0.1}",
    "rectified logistic": "{kind: rectified_logistic}",
    "truncated gaussian": "{kind: truncated_gaussian, std: 0.5}",
    "clipped gaussian 0, 1": "{kind: clipped_gaussian, interval: [0, 1], std: 0.5}",
    "clipped gaussian -1, 1": "{kind: clipped_gaussian, interval: [-1, 1], std: 1}",
    "tilted uniform": "{kind: tilted_uniform, interval: [-1, 1]}",
    "poisson": "{kind: poisson}",
    "exponential": "{kind: gamma}",
    "gamma, shape 2.5": "{kind: gamma, shape: 2.5}",
    "beta": "{kind: beta, concentration: 4}",
    "binomial": "{kind: binomial, trials: 5}",
    "negative binomial": "{kind: negative_binomial, successes: 3}",
    "gate Phi (GELU)": "{kind: gated, prob: normal_cdf(e)}",
    "gate sigma (SiLU)": "{kind: gated, prob: sigmoid(e)}",
    "gate tanh softplus (Mish)": "{kind: gated, prob: tanh(softplus(e))}",
    "max of two gaussians": "{kind: max_of, means: [e, 0], stds: [1, 2]}",
    "spin -1, 0, 1": "{kind: exponential_family, support: [-1, 0, 1], base_measure: '1 + x**2'}",
    "four states": "{kind: exponential_family, support: [0, 1, 2, 5], base_measure: '1 + x'}",
    "rectified laplace": "{kind: noise, base: laplace, scale: 0.5, value: 'max(0, y)'}",
    "rectified uniform": "{kind: noise, base: uniform, value: 'max(0, y)'}",
    "threshold gumbel": "{kind: noise, base: gumbel, value: 'Piecewise((1, y > 0), (0, True))'}",
    "rectified exponential": "{kind: noise, base: exponential, value: 'max(0, y)'}",
    "dead zone": "{kind: noise, base: normal, value: 'Piecewise((y - 1, y > 1), (y + 1, y < -1), (0, True))'}",
    "abs": "{kind: noise, base: normal, value: abs(y)}",
    "sine": "{kind: noise, base: normal, value: sin(y)}",
    "mixture": "{kind: mixture, components: [{weight: sigmoid(e), family: {kind: gaussian, std: 1}}, "
    "{weight: sigmoid(-e), family: {kind: gaussian, std: 3}}]}",
    "density": "{kind: density, support: nonnegative, log_density: -x*(1 + softplus(-e))}",
}


def emitted(law: Derived) -> Any:
    """An instance of the emitted class."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "law.py"
        path.write_text(law.code(), encoding="utf-8")
        spec = importlib.util.spec_from_file_location("law", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    (kind,) = [member for name, member in vars(module).items() if isinstance(member, type) and hasattr(member, "expectation")]
    return kind()


def energies() -> torch.Tensor:
    """Numbers that every dtype but bfloat16 holds."""
    side = [1e-30, 1e-18, 1e-9, 1e-6, 1e-4, 0.003, 0.02, 0.11, 0.3, 0.52, 0.74, 0.99, 1.31, 1.9, 2.4, 3.3, 4.7, 6.1, 8.3, 11.0, 14.7, 19.0]
    side += [27.0, 38.0, 52.0, 71.0, 86.0, 95.0, 140.0, 410.0, 700.0, 1300.0, 9000.0]
    return torch.tensor([-e for e in reversed(side)] + side, dtype=torch.float32)


def relative(got: float, wanted: Any, scale: Any, largest: float) -> float:
    """The error, as the contract counts it."""
    if abs(wanted) >= largest:  # documented: the largest number, and a gradient of 0
        return 0.0 if abs(got) >= 0.99 * largest or got == 0 else float("inf")
    if got != got or abs(got) == float("inf"):
        return float("inf") if abs(wanted) != mp.inf or got != float(wanted) else 0.0
    difference = abs(mp.mpf(got) - wanted)
    return 0.0 if difference <= TINY else float(difference / scale) if scale else float("inf")


def moment(function: Any, truth: Any, dtype: torch.dtype) -> tuple[float, float]:
    """Errors of a function of e and of its gradient."""
    e = energies().to(dtype).requires_grad_()
    value = function(e)
    (slope,) = torch.autograd.grad(value.sum(), e, allow_unused=True) if value.requires_grad else (None,)
    slope = torch.zeros_like(e) if slope is None else slope
    largest = torch.finfo(dtype).max
    worst = [0.0, 0.0]
    for at, got, got_slope in zip(e.tolist(), value.tolist(), slope.tolist(), strict=True):
        with mp.workdps(digits_at(at)):
            x = mp.mpf(at)
            f, g = truth(x)
            step = abs(x) * mp.mpf(10) ** -20
            h = (truth(x + step)[1] - truth(x - step)[1]) / (2 * step)
            beyond = abs(f) >= largest
            worst[0] = max(worst[0], relative(got, f, abs(f) + abs(x * g), largest))
            worst[1] = max(worst[1], 0.0 if beyond and got_slope == 0 else relative(got_slope, g, abs(g) + abs(x * h), largest))
    return worst[0], worst[1]


def likelihood(node: Any, law: Derived, dtype: torch.dtype) -> tuple[float, float]:
    """Errors of log p(x | e) and of its gradient by e, over states of the node."""
    tree = shared(law.law.log_likelihood)  # type: ignore[arg-type]
    # a state is a number that was rounded, as far as a formula in it is concerned
    between = shared(on_the_support(tree))
    assert isinstance(law.law.sampling, Draw)
    # states as the node draws them at moderate energies, which float32 holds
    drawn = torch.tensor(law.sample(torch.linspace(-3, 3, 12).numpy(), 1, seed=1)[0], dtype=torch.float32).to(dtype)
    e = energies().to(dtype)[:, None].expand(-1, len(drawn)).contiguous().requires_grad_()
    x = drawn[None, :].expand_as(e)
    value = node.log_prob(x, e)
    (slope,) = torch.autograd.grad(value.sum(), e)
    largest, worst = torch.finfo(dtype).max, [0.0, 0.0]
    with mp.workdps(DIGITS):
        cells = zip(x.flatten().tolist(), e.flatten().tolist(), value.flatten().tolist(), slope.flatten().tolist(), strict=True)
        for state, at, got, got_slope in cells:
            s, x_ = mp.mpf(at), mp.mpf(state)
            f, g = dual(tree, "e", e=s, x=x_)
            if abs(f) > 1e30:
                continue
            step = abs(s) * mp.mpf(10) ** -20
            h = (dual(tree, "e", e=s + step, x=x_)[1] - dual(tree, "e", e=s - step, x=x_)[1]) / (2 * step)
            shift = abs(x_) * mp.mpf(10) ** -20
            across, bend = mp.zero, mp.zero
            if shift:
                up, down = (dual(between, "e", e=s, x=x_ + d) for d in (shift, -shift))
                if all(mpmath.isfinite(v) for v in (*up, *down)):
                    across, bend = (x_ * (a - b) / (2 * shift) for a, b in zip(up, down, strict=True))
            worst[0] = max(worst[0], relative(got, f, abs(f) + abs(s * g) + abs(across), largest))
            beyond = abs(f) >= largest and got_slope == 0
            worst[1] = max(worst[1], 0.0 if beyond else relative(got_slope, g, abs(g) + abs(s * h) + abs(bend), largest))
    return worst[0], worst[1]


def on_the_support(tree: Scalar) -> Scalar:
    """A log-likelihood without the question whether x is a state."""
    if isinstance(tree, Op) and tree.name == "where" and tree.args[2] == Op("neg", (Op("infinity", ()),)):
        return _given(tree, tree.args[0])
    return tree


def _given(tree: Scalar, condition: Scalar) -> Scalar:
    if not isinstance(tree, Op):
        return tree
    if tree.name == "where" and tree.args[0] == condition:
        return _given(tree.args[1], condition)
    return Op(tree.name, tuple(_given(argument, condition) for argument in tree.args))


def rounded_once(function: Any) -> int:
    """How many results in bfloat16 are not those of float32, rounded."""
    e = energies().to(torch.bfloat16)
    return int((function(e) != function(e.float()).to(torch.bfloat16)).sum())


def measure(text: str) -> dict[str, Any]:
    """Every figure of one family."""
    law = derive(text)
    assert isinstance(law, Derived)
    node, exact = emitted(law), exact_moments(law.law.law)
    row: dict[str, Any] = {"family": text}
    for dtype in (torch.float32, torch.float64):
        name = str(dtype).removeprefix("torch.")
        figures: dict[str, float] = {}
        if exact is not None:
            figures["E"], figures["E'"] = moment(node.expectation, exact[0], dtype)
            figures["Var"], figures["Var'"] = moment(node.variance, exact[1], dtype)
        if law.law.log_likelihood is not None:
            figures["log p"], figures["log p'"] = likelihood(node, law, dtype)
        row[name] = {key: float(f"{figure:.1e}") for key, figure in figures.items()}
    row["bfloat16"] = rounded_once(node.expectation) + rounded_once(node.variance)
    return row


def broken(name: str, row: dict[str, Any]) -> list[str]:
    """What does not keep the contract, known exceptions aside."""
    cells = [(dtype, key, figure, bar) for dtype, bar in CONTRACT.items() for key, figure in row[dtype].items() if (name, key) not in KNOWN]
    found = [f"{dtype} {key}: {figure:.1e}" for dtype, key, figure, bar in cells if not figure <= bar]
    return found + ([f"bfloat16: {row['bfloat16']} results are not rounded once"] if row["bfloat16"] else [])


def main(arguments: list[str]) -> int:
    """Measure and print; 1 if the contract is broken."""
    names = [name for name in arguments if not name.startswith("--")] or list(FAMILIES)
    rows = {name: measure(FAMILIES[name]) for name in names}
    columns = ["E", "E'", "Var", "Var'", "log p", "log p'"]
    print(f"{'':34}" + "".join(f"{dtype + ' ' + column:>16}" for dtype in CONTRACT for column in columns) + f"{'bfloat16':>10}")
    failed = False
    for name, row in rows.items():
        cells = [row[dtype].get(column) for dtype in CONTRACT for column in columns]
        print(f"{name:34}" + "".join(f"{'-' if cell is None else format(cell, '.1e'):>16}" for cell in cells) + f"{row['bfloat16']:>10}")
        for line in broken(name, row):
            failed = True
            print(f"  BROKEN {line}")
        for (family, column), reason in KNOWN.items():
            if family == name:
                print(f"  known: {column}: {reason}")
    if "--check" not in arguments and len(names) == len(FAMILIES):
        RESULTS.write_text(json.dumps({"contract": CONTRACT, "families": rows}, indent=1) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
