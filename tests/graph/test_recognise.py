"""What edges are recognised as: short forms against their own statements, and grids too large to look at pair by pair."""

from __future__ import annotations

import random

import pytest
from small_specs import edge, findings, part, spec

from cgc.graph.analysis import Graph, analyze
from cgc.graph.geometry import Geometry, Window
from cgc.graph.parts import Structure
from cgc.graph.recognise import take_apart
from cgc.graph.stated import stated, stated_biases
from cgc.source.diagnostics import SpecError
from cgc.spec.model import Component, DropoutGate, Edge, Filter


def grid_edge(parent: str, kind: str, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Edge:
    axes = {"conv1d": 1, "conv2d": 2}[kind]
    found = edge(parent)
    return Edge(
        parent, parent, kind, found.span, filter=Filter((kernel,) * axes, (stride,) * axes, (padding,) * axes, (dilation,) * axes, groups)
    )


def structure(graph: Graph) -> Structure:
    return graph.part("h").edges[0].structure


def restated(x: Component, h: Component) -> tuple[Graph, Graph]:
    """The graph of a short form, and of the statements it stands for on a dense edge."""
    short = analyze(spec(x, h))
    own, source = short.part("h"), short.part("x")
    lines = [line for e in own.edges for line in stated(own, source, e, False)]
    independence = tuple(line for line in lines if "⟂" in line)
    sharing = (*(line for line in lines if "<-" in line), *stated_biases(own, False))
    return short, analyze(spec(x, part("h", h.nodes, edge("x")), independence=independence, sharing=sharing))


def test_short_forms_are_their_statements() -> None:
    rng = random.Random(3)
    tried = 0
    while tried < 60:
        kind = rng.choice(("conv1d", "conv2d"))
        axes = 1 if kind == "conv1d" else 2
        kernel, stride, padding, dilation = rng.randrange(1, 5), rng.randrange(1, 4), rng.randrange(3), rng.randrange(1, 3)
        groups = rng.choice((1, 1, 2))
        places = rng.randrange(4, 10)
        count = (places + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        if count < 2 or dilation * (kernel - 1) + 1 > places or padding > dilation * (kernel - 1):
            continue
        tried += 1
        x = part("x", (groups * rng.randrange(1, 3), *(places,) * axes))
        h = part("h", (groups * rng.randrange(1, 3), *(count,) * axes), grid_edge("x", kind, kernel, stride, padding, dilation, groups))
        short, long = restated(x, h)
        assert structure(short).kind == structure(long).kind == "convolution"
        counted = take_apart(structure(short).joined, structure(short).child_index, structure(short).parent_index).count
        assert structure(short).pairs == counted
        assert structure(short).geometry == structure(long).geometry and structure(short).pairs == structure(long).pairs
        assert short.part("h").bias == long.part("h").bias


@pytest.mark.parametrize(("kind", "condition"), [("elementwise", "j != i"), ("identity", "j != i")])
def test_equal_indices_are_a_statement_too(kind: str, condition: str) -> None:
    short, long = restated(part("x", 4), part("h", 4, edge("x", kind)))
    assert stated(short.part("h"), short.part("x"), short.part("h").edges[0], True) == (f"h[i,t] ⟂ x[j,t] | parents  where {condition}",)
    assert structure(long).kind == "elementwise" and structure(long).pairs == structure(short).pairs


MILLION = 10**6
LARGE = [
    ((MILLION,), (MILLION,), ["j != i"], [], "elementwise", None),
    ((MILLION,), (MILLION,), ["abs(i - j) > 2"], [], "local", Geometry(1, 1, 1, (Window(MILLION, MILLION, 5, before=2),))),
    ((MILLION,), (MILLION,), ["i // 100 != j // 100"], [], "grouped", Geometry(MILLION, MILLION, 10**4)),
    ((MILLION,), (MILLION,), ["j > i"], [], "masked", None),
    ((MILLION,), (2 * MILLION,), ["abs(j - 2*i) > 1"], ["j - 2*i"], "convolution",
     Geometry(1, 1, 1, (Window(MILLION, 2 * MILLION, 3, 2, before=1),))),
    ((256, 512, 512), (128, 512, 512), ["abs(c - d) > 600 or abs(s - v) > 1 or abs(r - u) > 1"], ["c", "d", "r - u", "s - v"],
     "convolution", Geometry(256, 128, 1, (Window(512, 512, 3, before=1),) * 2)),
    ((512, 256, 256), (512, 256, 256), ["max(abs(s - v), abs(r - u)) > 2", "c != d"], ["c", "r - u", "s - v"],
     "convolution", Geometry(512, 512, 512, (Window(256, 256, 5, before=2),) * 2)),
]  # fmt: skip


@pytest.mark.parametrize(("child", "parent", "where", "by", "kind", "geometry"), LARGE)
def test_large_grids(
    child: tuple[int, ...], parent: tuple[int, ...], where: list[str], by: list[str], kind: str, geometry: Geometry | None
) -> None:
    names = ("i", "j") if len(child) == 1 else ("c,r,s", "d,u,v")
    statements = tuple(f"h[{names[0]}] ⟂ x[{names[1]}] | parents  where {condition}" for condition in where)
    sharing = (f"h[{names[0]}] <- x[{names[1]}]  by {', '.join(by)}",) if by else ()
    found = structure(analyze(spec(part("x", parent), part("h", child, edge("x")), independence=statements, sharing=sharing)))
    assert (found.kind, found.geometry) == (kind, geometry)
    if kind == "masked":
        assert found.causal and found.pairs == MILLION * (MILLION + 1) // 2


@pytest.mark.parametrize(
    ("sharing", "code", "message"),
    [
        ("h[i] <- x[j]  by k", "CG414", "`k` is an index of neither side"),
        ("h[i] <- x[i]  by i", "CG419", "`i` names two indices"),
        ("h[i] <- x[:]  by i", "CG419", "every index of `x[:]` needs a name here"),
        ("h <- x  by 0", "CG419", "every index of `h` needs a name here"),
        ("h[i] <- y[j]  by i", "CG411", "there is no component `y`"),
        ("x[i] <- h[j]  by i", "CG404", "`x[i]` has no edge from `h[j]` that could share weights"),
        ("h[i] - x[j]  by i", "CG410", "`-` stands where `<-` or `by` should"),
        ("h[i] <- x[j]", "CG410", "the text ends where `by` should follow"),
        ("h[i] <- x[j]  by i where i > 1", "CG410", "`where` stands where `,` or the end should"),
        ("h[i] <- x[j]  by i > j", "CG410", "`>` stands where `,` or the end should"),
        ("h[i] <- x[j]  by 1 // j", "CG417", "a divisor is 0 for some indices"),
        ("h[i,k] <- x[j]  by i", "CG412", "`h` takes 1 index: it has 4 nodes"),
    ],
)
def test_mistakes_in_sharing(sharing: str, code: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 4), part("h", 4, edge("x")), sharing=(sharing,)))
    assert findings(error.value) == [(code, message)]


def test_gates_share_nothing() -> None:
    gated = edge("x", gate=DropoutGate("bernoulli", 0.5))
    for text in ("h.x.gate[i] by 0", "h.x.gate[i] <- x[j]  by i"):
        with pytest.raises(SpecError) as error:
            analyze(spec(part("x", 4), part("h", 4, gated), sharing=(text,)))
        assert [code for code, _ in findings(error.value)] == ["CG404"]


def test_gates_of_a_stack_may_have_other_shapes() -> None:
    gated = edge("x", gate=DropoutGate("bernoulli", 0.5))
    deep = spec(part("x", (2, 3)), part("h", 4, gated, layers=2), independence=("h[k] ⟂ x[i,j] | h.x.gate[i,j] where k == 5",))
    with pytest.raises(SpecError) as error:
        analyze(deep)
    assert findings(error.value) == [("CG412", "`h.x.gate` has other nodes in other layers")]
    analyze(spec(part("x", (2, 3)), part("h", 4, gated, layers=2), independence=("h.1[k] ⟂ h.0[i] | h.1.x.gate, parents where k == i",)))


def test_a_window_over_everything_is_one_along_every_axis() -> None:
    x, h = part("x", (2, 4, 4)), part("h", (3, 1, 1), grid_edge("x", "conv2d", 4))
    short, long = restated(x, h)
    assert structure(short).geometry == structure(long).geometry == Geometry(3, 2, 1, (Window(1, 4, 4),) * 2)


def test_a_matrix_that_is_large_and_nearly_empty_is_warned_of() -> None:
    graph = analyze(spec(part("x", 20000), part("h", 20000, edge("x")), independence=("h[i] ⟂ x[j] | parents where j != i // 2",)))
    assert [(d.code, d.severity) for d in graph.diagnostics] == [("CG424", "warning")]
    assert graph.diagnostics[0].message == "this edge is computed as a matrix of 400 000 000 weights, of which 20 000 count"


def test_sharing_twice_and_of_fixed_weights() -> None:
    twice = ("h[i] <- x[j]  by j - i", "h[i] <- x[j]  by i")
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 4), part("h", 4, edge("x")), sharing=twice))
    assert findings(error.value) == [("CG404", "these edge's weights are shared twice")]
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 4), part("h", 4, edge("x", "identity")), sharing=("h[i] <- x[j]  by 0",)))
    assert findings(error.value) == [("CG404", "the weights of this edge are fixed: there is nothing to share")]


def test_a_convolution_of_any_size_knows_its_pairs() -> None:
    n = 10**8
    graph = analyze(spec(part("x", n), part("h", n, grid_edge("x", "conv1d", 3, padding=1))))
    assert structure(graph).kind == "convolution" and structure(graph).pairs == 3 * n - 2
