"""Templates over time against the graphs they unroll to."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from cgc.graph import ChainGraph, NotAChainGraph, Template

Edges = tuple[list[tuple[int, int, int]], list[tuple[int, int]], list[int]]


def random_template(rng: random.Random) -> tuple[int, Edges]:
    """Few enough edges that about half are chain graphs; several lags between the same nodes, arrows to the node itself."""
    n = rng.randrange(1, 7)
    nodes = range(n)
    arrows = [(rng.choice(nodes), rng.choice(nodes), rng.choice((0, 0, 1, 1, 2, 3))) for _ in range(rng.randrange(0, n + 3))]
    arrows += [(a, b, lag + rng.randrange(3)) for a, b, lag in arrows if rng.random() < 0.2]
    lines = [pair for pair in combinations(nodes, 2) if rng.random() < 0.2]
    return n, (arrows, lines, [v for v in nodes if rng.random() < 0.25])


def plainly_unrolled(n: int, edges: Edges, steps: int) -> tuple[list[object], list[object]]:
    arrows, lines, along_time = edges
    times = range(steps)
    forward = [((a, t - lag), (b, t)) for a, b, lag in arrows for t in times if t - lag in times]
    both = [((a, t), (b, t)) for a, b in lines for t in times] + [((v, s), (v, t)) for s, t in pairwise(times) for v in along_time]
    return forward, both


@pytest.mark.parametrize("seed", range(4))
def test_a_template_is_accepted_iff_it_unrolls_to_a_chain_graph(seed: int) -> None:
    rng = random.Random(seed)
    seen = {"accepted": 0, "within a step": 0, "over time": 0}
    for _ in range(300):
        n, edges = random_template(rng)
        # a shortest cycle enters no node twice: it spans no more than the n largest lags
        steps = 1 + sum(sorted((lag for _, _, lag in edges[0]), reverse=True)[:n])
        forward, both = plainly_unrolled(n, edges, steps)
        try:
            ChainGraph([(v, t) for t in range(steps) for v in range(n)], forward, both)
            expected = True
        except NotAChainGraph:
            expected = False
        try:
            template = Template(range(n), *edges)
        except NotAChainGraph as found:
            assert not expected, edges
            cycle = found.cycle
            length = 1 + max(t for _, t in cycle)
            forward, both = plainly_unrolled(n, edges, length)
            arrows, lines = set(forward), {*both, *((b, a) for a, b in both)}
            assert cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1
            assert all(step in arrows or step in lines for step in pairwise(cycle)), (edges, cycle)
            assert any(step in arrows for step in pairwise(cycle)), (edges, cycle)
            seen["over time" if length > 1 else "within a step"] += 1
        else:
            assert expected, edges
            graph = template.unrolled(steps)
            assert set(graph.arrows) == set(forward) and len(graph.nodes) == n * steps
            assert {frozenset(line) for line in graph.lines} == {frozenset(line) for line in both}
            seen["accepted"] += 1
    assert min(seen.values()) >= 30, seen


def test_the_tagger() -> None:
    arrows = [("x", "h", 0), ("h", "h", 1), ("h", "y", 0)]
    template = Template(["x", "h", "y"], arrows, along_time=["y"])
    assert len(template.unrolled(5).components) == 11
    with pytest.raises(NotAChainGraph) as error:
        Template(["x", "h", "y"], [*arrows, ("y", "h", 2)], along_time=["y"])
    assert error.value.cycle == (("y", 0), ("h", 2), ("y", 2), ("y", 1), ("y", 0))
    assert Template(["x", "h", "y"], [*arrows, ("y", "h", 2)]).step.components == (("x",), ("h",), ("y",))


def test_a_long_way_back_through_lines_within_steps() -> None:
    # a - b, whose copies of b are joined over time, and d - c - e in between: a -> d, e -> (3 steps later) f -> a
    arrows, lines = [("a", "d", 1), ("e", "f", 3), ("f", "a", 0)], [("a", "b"), ("d", "c"), ("c", "e")]
    with pytest.raises(NotAChainGraph) as error:
        Template((), arrows, lines, ["b"])
    assert error.value.cycle == (
        ("a", 0), ("d", 1), ("c", 1), ("e", 1), ("f", 4), ("a", 4), ("b", 4), ("b", 3), ("b", 2), ("b", 1), ("b", 0), ("a", 0),
    )  # fmt: skip
    assert Template((), arrows, lines).unrolled(6).components


def test_hostile_templates() -> None:
    with pytest.raises(ValueError, match="lag -1"):
        Template("ab", [("a", "b", -1)])
    with pytest.raises(ValueError, match="itself"):
        Template("ab", (), [("a", "a")])
    with pytest.raises(NotAChainGraph) as error:
        Template("a", [("a", "a", 0)])
    assert error.value.cycle == (("a", 0), ("a", 0))
    with pytest.raises(NotAChainGraph) as error:
        Template("a", [("a", "a", 7)], along_time="a")
    assert error.value.cycle == (("a", 0), *(("a", t) for t in range(7, -1, -1)))
    assert Template().unrolled(3).nodes == () and Template("a", along_time="aa").unrolled(0).nodes == ()
    assert Template((), (), (), "z").unrolled(2).lines == ((("z", 0), ("z", 1)),)
    chain = Template(range(3000), [(k, k + 1, 1) for k in range(2999)], along_time=[0, 2999])
    assert len(chain.step.nodes) == 3000


def test_sets_are_read_in_one_order_and_lags_are_whole_numbers() -> None:
    """Under every hash seed the same nodes, and the same cycle."""
    code = (
        "from cgc.graph import NotAChainGraph, Template\n"
        "print(Template({'b', 'a', 'zz', 'q'}).step.nodes)\n"
        "try: Template(arrows={('a', 'b', 1), ('b', 'c', 0), ('c', 'a', 0), ('d', 'a', 2), ('b', 'd', 0)}, along_time={'a', 'd'})\n"
        "except NotAChainGraph as error: print(error.cycle)\n"
    )
    root = str(Path(__file__).parents[2])
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": root}, capture_output=True, text=True, check=True
        )
        for seed in ("0", "1", "2")
    ]
    assert len({done.stdout for done in runs}) == 1 and "(('" in runs[0].stdout
    with pytest.raises(ValueError, match="whole number"):
        Template(arrows=[("a", "b", 0.5)])  # type: ignore[list-item]
