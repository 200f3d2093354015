"""The factors of joint distributions: exact texts of three specs, and LaTeX that can be typeset for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgc import compiler
from cgc.report.factors import factors
from cgc.report.formula import predicate_latex
from cgc.report.text import report

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "specs"
SHIPPED = sorted(path.name for path in SPECS.glob("*.yaml"))


def read(path: Path, *overrides: tuple[str, str], **params: str) -> compiler.Reading:
    return compiler.read(path, params, overrides)


def texts(known: compiler.Reading) -> dict[str, list[str]]:
    return {f.part: [formula.text for formula in f.formulas] for f in factors(known.spec, known.graph)}


def formulas(known: compiler.Reading) -> list[str]:
    found = factors(known.spec, known.graph)
    return [known.graph.factorisation(latex=True), *(formula.latex for f in found for formula in f.formulas)]


def test_an_indrnn() -> None:
    assert texts(read(SPECS / "indrnn.yaml")) == {
        "h.0": [
            "P(h.0[t] | x[t], h.0[t-1]) = prod_i p(h.0[i,t] | e_h.0[i,t])",
            "e_h.0[i,t] = b[i] + BN[i](sum_j W_x[i,j] x[j,t]) + w_h[i] h.0[i,t-1]",
            "BN[i](u) = g[i] (u - mean u) / sqrt(var u + eps)",
        ],
        "h.1": [
            "P(h.1[t] | h.0[t], h.1[t-1]) = prod_i p(h.1[i,t] | e_h.1[i,t])",
            "e_h.1[i,t] = b[i] + BN[i](sum_j W_x[i,j] h.0[j,t]) + w_h[i] h.1[i,t-1]",
            "BN[i](u) = g[i] (u - mean u) / sqrt(var u + eps)",
        ],
        "y": ["P(y[T] | h.1[T]) = p(y[T] | e_y[T])", "e_y[k,T] = b[k] + sum_j W_h[k,j] h.1[j,T]"],
    }


def test_dropout_and_a_reference_label() -> None:
    known = read(SPECS / "mnist_dense.yaml", ("components.h1.bias", "false"), keep_prob="0.5", hidden="1")
    assert texts(known) == {
        "h1": ["P(h1 | x) = p(h1 | e_h1)", "e_h1 = sum_j W_x[j] x[j]"],
        "h2": ["P(h2 | h1, h2.h1.gate) = p(h2 | e_h2)", "e_h2 = b + W_h1 h2.h1.gate h1", "h2.h1.gate ~ Bernoulli(0.5)"],
        "y": ["P(y | h2, y.h2.gate) = p(y | e_y)", "e_y[k] = b[k] + W_h2[k] y.h2.gate h2", "e_y[9] = 0", "y.h2.gate ~ Bernoulli(0.5)"],
    }
    assert {f.part: f.moral for f in factors(known.spec, known.graph)} == {
        "h1": "joins the parents of h1: x[:]",
        "h2": "joins the parents of h2: h1, h2.h1.gate",
        "y": "joins the parents of y: h2, y.h2.gate",
    }


def test_lines_masks_and_all_the_rest() -> None:
    known = read(HERE / "odd.yaml")
    near = "abs(i0 - j0) <= 1 and i1 // 2 == j1 // 2 and i1 % 3 != 1 or i0 == j0 and i1 == j1"
    assert known.graph.factorisation() == (
        "P(g.h.gate, y.f.gate, h, g, f, y, z | x_in, c) = P(g.h.gate) · prod_t P(y.f.gate[t]) P(h[t] | x_in[t], c[t], h[t-2]) "
        "P(g[t] | h[t], g.h.gate) P(f[t] | g[t]) · P(z[T] | f[T]) · P(y[0..T] | f[0..T], y.f.gate[0..T])"
    )
    assert texts(known) == {
        "h": [
            "P(h[t] | x_in[t], c[t], h[t-2]) = 1/Z(x_in[t], c[t], h[t-2]) prod_{i0,i1} phi(h[i0,i1,t]; e_h[i0,i1,t]) "
            "prod_{lines: abs(i0 - j0) + abs(i1 - j1) == 1} psi_d(h[i0,i1,t], h[j0,j1,t])",
            f"e_h[i0,i1,t] = 0.5 + BN[i0,i1](sum_{{j0,j1: {near}}} "
            "W_near[i0,i1,j0,j1] x_in[j0,j1,t] + x_in[i0,i1,t] + sum_{j,l} W_c[i0,i1,j,l] 1[c[j,t] = l] + (-0.25) T(h[i0,i1,t-2]))",
            "BN[i0,i1](u) = g[i0,i1] (u - mean u) / sqrt(var u + eps)",
            "phi(x; e) = m(x) exp(e T(x))",
            "psi_d(x, x') = exp(v[d] T(x) T(x'))",
        ],
        "g": [
            "P(g[t] | h[t], g.h.gate) = 1/Z(h[t], g.h.gate) prod_{i0,i1} phi(g[i0,i1,t]; e_g[i0,i1,t]) "
            "prod_lines psi[i0,i1,j0,j1](g[i0,i1,t], g[j0,j1,t])",
            "e_g[i0,i1,t] = sum_{j0,j1} W_h[i0,i1,j0,j1] g.h.gate[j0,j1] T(h[j0,j1,t])",
            "phi(x; e) = exp(e x)",
            "psi[i0,i1,j0,j1](x, x') = exp(v[i0,i1,j0,j1] x x')",
            "g.h.gate[j0,j1] ~ Normal(1, 0.5^2)",
        ],
        "f": [
            "P(f[t] | g[t]) = 1/Z(g[t]) prod_i phi(f[i,t]; e_f[i,t]) "
            "prod_{lines: abs(i - j) == 1} psi(f[i,t], f[j,t]) phi_start(f[0,t]) phi_end(f[2,t])",
            "e_f[i,t] = b[i] + sum_{j0,j1} W_g[i,j0,j1] g[j0,j1,t]",
            "phi(x; e) = exp(e x)",
            "psi(x, x') = exp(v x x')",
            "phi_start(x) = exp(a x)",
            "phi_end(x) = exp(z x)",
        ],
        "y": [
            "P(y[0..T] | f[0..T], y.f.gate[0..T]) = 1/Z(f[0..T], y.f.gate[0..T]) prod_{i,t} phi(y[i,t]; e_y[i,t]) "
            "prod_{i,t<T} psi(y[i,t], y[i,t+1]) prod_i phi_start(y[i,0]) phi_end(y[i,T])",
            "e_y[i,t] = b[i] + sum_j W_f[i,j] y.f.gate[j,t] f[j,t]",
            "phi(x; e) = exp(e x)",
            "psi(x, x') = exp(v x x')",
            "phi_start(x) = exp(a x)",
            "phi_end(x) = exp(z x)",
            "y.f.gate[j,t] ~ Bernoulli(0.8)",
        ],
        "z": ["P(z[T] | f[T]) = p(z[T] | e_z[T])", "e_z[k,T] = b[k] + sum_{j: j >= 1} W_f[k,j] f[j,T]", "e_z[1,T] = 0"],
    }
    assert [f.moral for f in factors(known.spec, known.graph)] == [
        "joins the parents of h[:,:,t]: x_in[:,:,t], c[:,t], h[:,:,t-2]",
        "joins the parents of each connected part of g[t]: h[:,:,t], g.h.gate[:,:]",
        "joins the parents of f[:,t]: g[:,:,t]",
        "joins the parents of each connected part of y[0..T]: f[:,0..T], y.f.gate[:,0..T]",
        "joins the parents of z[T]: f[j,T] where j >= 1",
    ]


@pytest.mark.every_other
@pytest.mark.parametrize("name", [*SHIPPED, "odd"])
def test_latex_can_be_typeset(name: str) -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    known = read(HERE / "odd.yaml" if name == "odd" else SPECS / name)
    assert len(formulas(known)) >= 5
    for latex in formulas(known):
        depth = 0
        for sign in latex.replace(r"\{", "").replace(r"\}", ""):
            depth += (sign == "{") - (sign == "}")
            assert depth >= 0, latex
        assert depth == 0, latex
        mathtext.parse(f"${latex}$")
    for latex in (False, True):
        assert "factors\n" in report(known, latex=latex)


def test_conditions_keep_their_meaning_in_latex() -> None:
    from cgc.graph.statement import parse
    from cgc.source.text import Source, Span

    for written, latex in {
        "-i * (j - 1) != -3": r"(-i) \, (j - 1) \neq -3",
        "i - (j - 1) > i % 2 // 3": r"i - (j - 1) > \lfloor (i \; \mathrm{mod} \; 2) / 3 \rfloor",
        "max(i, j) - min(i, 2*j) >= abs(i - j)": r"\max(i, j) - \min(i, 2 \, j) \geq \left| i - j \right|",
        "i == 1 and (j == 2 or j < i)": r"i = 1 \wedge (j = 2 \vee j < i)",
        "i - (i + j) <= 0": r"i - (i + j) \leq 0",
    }.items():
        text = f"h[i] ⟂ x[j] where {written}"
        assert predicate_latex(parse(text, Span(Source("test", text), 1, 1)).condition) == latex


def test_like_layers_are_written_once() -> None:
    known = read(SPECS / "srn.yaml", layers="6")
    found = factors(known.spec, known.graph)
    assert [(f.part, f.alike) for f in found] == [("h.0", ()), ("h.1", ("h.2", "h.3", "h.4", "h.5")), ("y", ())]
    only_in_two = read(SPECS / "srn.yaml", ("independence", "['h.3[i,t] ⟂ h.3[j,t-1] | parents where i < j']"), layers="6")
    found = factors(only_in_two.spec, only_in_two.graph)
    assert [(f.part, f.alike) for f in found] == [("h.0", ()), ("h.1", ("h.2",)), ("h.3", ()), ("h.4", ("h.5",)), ("y", ())]
    assert [f.part for f in factors(known.spec, known.graph, "y")] == ["y"]
