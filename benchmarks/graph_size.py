"""What large graphs cost: a chain graph of 100,000 nodes, the same directed graph in networkx, and the analysis of long specs.

    python benchmarks/graph_size.py

The first query of each graph must search everything: a node that nothing follows is separated from all others by its boundary. The second
leaves one node of the boundary out. On the directed graph networkx has to agree; on the chain graph the certificate is checked against the
moral graph, and the walk step by step. Prints medians (of processor time, pairs of runs interleaved) and writes
``benchmarks/results/graph_size.json``; exits with 1 if a bar is missed or a result is wrong.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import networkx as nx

from cgc.graph import ChainGraph
from cgc.graph.analysis import analyze
from cgc.spec.load import load

RESULTS = Path(__file__).parent / "results" / "graph_size.json"
NODES, EDGES, RUNS = 100_000, 300_000, 5
Edges = list[tuple[int, int]]


def edges(rng: random.Random, blocks: int) -> tuple[Edges, Edges]:
    """Arrows and lines among NODES nodes in random blocks: paths of lines in each block, arrows from earlier to later blocks, no cycle."""
    block = sorted(rng.randrange(blocks) for _ in range(NODES)) if blocks < NODES else list(range(NODES))
    name = rng.sample(range(NODES), NODES)
    lines = [(name[k], name[k + 1]) for k in range(NODES - 1) if block[k] == block[k + 1]]
    arrows: dict[tuple[int, int], None] = {}
    while len(lines) + len(arrows) < EDGES:
        a, b = sorted((rng.randrange(NODES), rng.randrange(NODES)))
        if block[a] < block[b]:
            arrows[name[a], name[b]] = None
    return list(arrows), lines


def question(graph: ChainGraph[int], rng: random.Random) -> tuple[list[int], int, list[int], list[int]]:
    """Thousands of nodes x, one node y, z with which they are separated, and z without one node of the boundary of y."""
    y = next(component[-1] for component in reversed(graph.components) if not graph.children(component) and graph.parents(component[-1]))
    boundary = graph.boundary(y)
    others = [v for v in rng.sample(range(NODES), NODES // 10) if v != y and v not in boundary]
    x, z = others[: NODES // 20], others[-1000:]
    return x, y, [*z, *boundary], [*z, *boundary[1:]]


def seconds(work: Callable[[], object]) -> float:
    """Of processor time, so that what else the machine does counts little."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def assert_certified(graph: ChainGraph[int], x: list[int], y: int, z: list[int]) -> None:
    """That the moral graph has no edge by which to leave what is reached, but to z: parents of a component are on one side."""
    certificate = graph.separated(x, y, z).certificate
    assert certificate is not None
    kept, reached, between = set(certificate.nodes), set(certificate.reached), set(z)
    assert {*x, y, *z} <= kept and reached.issuperset(x) and y not in reached and reached.isdisjoint(between)
    inside = [(a, b) for a, b in (*graph.arrows, *graph.lines) if b in kept]
    assert all(a in kept and ((a in reached) == (b in reached) or a in between or b in between) for a, b in inside)
    for component in graph.components:
        if component[0] in kept:
            assert len({v in reached for v in graph.parents(component) if v not in between}) < 2


def chain_graph() -> tuple[float, float]:
    """Seconds for building and for a query that searches everything."""
    rng = random.Random(1)
    arrows, lines = edges(rng, NODES // 2)
    build = statistics.median(seconds(lambda: ChainGraph(range(NODES), arrows, lines)) for _ in range(RUNS))
    graph = ChainGraph(range(NODES), arrows, lines)
    x, y, closed, opened = question(graph, rng)
    query = statistics.median(seconds(lambda: graph.separated(x, y, closed)) for _ in range(RUNS))
    assert graph.separated(x, y, closed)
    assert_certified(graph, x, y, closed)
    verdict = graph.separated(x, y, opened)
    marks = {**dict.fromkeys(arrows, "→"), **{(b, a): "←" for a, b in arrows}, **dict.fromkeys([*lines, *((b, a) for a, b in lines)], "—")}
    assert not verdict and verdict.walk[0] in x and verdict.walk[-1] == y
    assert [marks[step] for step in pairwise(verdict.walk)] == list(verdict.steps)
    return build, query


def against_networkx() -> dict[str, float]:
    """Medians of theirs / ours on a directed acyclic graph."""
    rng = random.Random(2)
    arrows, _ = edges(rng, NODES)

    def built() -> nx.DiGraph[int]:
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(NODES))
        graph.add_edges_from(arrows)
        return graph

    theirs, ours = built(), ChainGraph(range(NODES), arrows)
    x, y, closed, opened = question(ours, rng)

    builds, queries = [], []
    for _ in range(RUNS):
        builds.append((seconds(lambda: ChainGraph(range(NODES), arrows)), seconds(built)))
        queries.append(
            (seconds(lambda: ours.separated(x, y, closed)), seconds(lambda: nx.is_d_separator(theirs, set(x), {y}, set(closed))))
        )
    for z, truth in ((closed, True), (opened, False)):
        assert bool(ours.separated(x, y, z)) == nx.is_d_separator(theirs, set(x), {y}, set(z)) == truth
    return {
        "networkx / ours, building": statistics.median(b / a for a, b in builds),
        "networkx / ours, query": statistics.median(b / a for a, b in queries),
        "networkx / ours, building and query": statistics.median((b + d) / (a + c) for (a, b), (c, d) in zip(builds, queries, strict=True)),
    }


def spec(components: int, nodes: int, given: str) -> str:
    """A chain of components, every second one with a statement that takes all pairs but those with equal indices."""
    lines = ["cgc: 1", "name: chain", "families:", "  rect: {kind: rectified_gaussian, std: tanh(e)}", "components:"]
    lines.append(f"  x: {{role: input, nodes: {nodes}, independent: true, family: {{kind: gaussian, std: 1}}}}")
    lines += [f"  h{k}: {{nodes: {nodes}, family: rect, parents: {{{f'h{k - 1}' if k else 'x'}: dense}}}}" for k in range(components)]
    lines.append(f"  y: {{role: output, nodes: 1, family: {{kind: categorical, labels: 3}}, parents: {{h{components - 1}: dense}}}}")
    lines.append("independence:")
    lines += [f"  - h{k}[i] ⟂ h{k - 1}[j] | {given.format(k - 1)} where j != i" for k in range(1, components, 2)]
    return "\n".join(lines) + "\n"


def analysis(components: int, nodes: int, given: str, runs: int = RUNS) -> float:
    """Seconds for the graph analysis of such a spec, reading not included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "chain.yaml")
        path.write_text(spec(components, nodes, given), encoding="utf-8")
        read = load(path)
    graph = analyze(read)
    assert [graph.part(f"h{k}").edges[0].structure.kind for k in (2, 3)] == ["dense", "elementwise"]
    assert all(verdict.holds for verdict in graph.statements) and len(graph.statements) == components // 2
    return statistics.median(seconds(lambda: analyze(read)) for _ in range(runs))


def main() -> int:
    build, query = chain_graph()
    rows: dict[str, tuple[float, float | None]] = {
        f"chain graph, {NODES:,} nodes, {EDGES:,} edges: building, s": (build, None),
        "a query that searches all of it, s": (query, None),
        "both, s": (build + query, 1.0),
    }
    rows |= {name: (value, None) for name, value in against_networkx().items()}
    small, large, wide = (analysis(c, n, "parents") for c, n in ((100, 64), (1000, 64), (1000, 4096)))
    rows["analysis, 1,000 components of 64 nodes, 500 statements, s"] = (large, 2.0)
    rows["1,000 components / 100"] = (large / small, None)
    rows["4,096 nodes / 64"] = (wide / large, 1.5)
    small, large, wide = (analysis(c, n, "h{}[i]", 1) for c, n in ((30, 64), (100, 64), (100, 4096)))
    rows["analysis, 100 components of 64 nodes, decided by search, s"] = (large, None)
    rows["100 components / 30, decided by search"] = (large / small, None)
    rows["4,096 nodes / 64, decided by search"] = (wide / large, None)
    for name, (value, bar) in rows.items():
        print(f"{name:<64}{value:8.3f}" + (f"   at most {bar:g}" if bar else ""))
    RESULTS.write_text(
        json.dumps([{"what": n, "median": round(v, 3), "bar": b} for n, (v, b) in rows.items()], indent=1) + "\n", encoding="utf-8"
    )
    return int(any(bar is not None and value > bar for value, bar in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
