"""Mixed and chain graphs for tests, and slow but independent definitions of what the package computes fast."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations, product

import networkx as nx

from cgc.graph import ChainGraph

Pairs = list[tuple[int, int]]
PRIME = 2**61 - 1


def mixed_graphs(n: int) -> Iterator[tuple[Pairs, Pairs]]:
    """Arrows and lines of every graph on n labelled nodes with at most one edge per pair."""
    pairs = list(combinations(range(n), 2))
    for kinds in product(range(4), repeat=len(pairs)):
        arrows = [(a, b) if kind == 1 else (b, a) for (a, b), kind in zip(pairs, kinds, strict=True) if kind in (1, 2)]
        yield arrows, [pair for pair, kind in zip(pairs, kinds, strict=True) if kind == 3]


def has_semi_directed_cycle(n: int, arrows: Pairs, lines: Pairs) -> bool:
    """By trying every cycle of distinct nodes."""
    forward, both = set(arrows), {*lines, *((b, a) for a, b in lines)}
    for size in range(2, n + 1):
        for nodes in permutations(range(n), size):
            steps = list(zip(nodes, nodes[1:] + nodes[:1], strict=True))
            if all(step in forward or step in both for step in steps) and any(step in forward for step in steps):
                return True
    return False


def random_chain_graph(rng: random.Random, n: int, density: float, blocks: int | None = None) -> ChainGraph[int]:
    """Nodes 0 … n-1 in (n / 2) random blocks; lines within blocks, arrows from earlier blocks to later ones."""
    block = sorted(rng.randrange(blocks or max(1, n // 2)) for _ in range(n))
    shuffled = rng.sample(range(n), n)
    arrows: Pairs = []
    lines: Pairs = []
    for a, b in combinations(range(n), 2):
        if rng.random() < density:
            (lines if block[a] == block[b] else arrows).append((shuffled[a], shuffled[b]))
    return ChainGraph(range(n), arrows, lines)


def separated_by_moralisation(graph: ChainGraph[int], x: Sequence[int], y: Sequence[int], z: Sequence[int]) -> bool:
    """Frydenberg (1990): z separates x and y in the moral graph of the smallest ancestral set, all computed here from the edges."""
    kept = {*x, *y, *z}
    while True:
        more = {a for a, b in graph.arrows if b in kept} | {w for a, b in graph.lines for v, w in ((a, b), (b, a)) if v in kept}
        if more <= kept:
            break
        kept |= more
    lines = [(a, b) for a, b in graph.lines if a in kept]
    arrows = [(a, b) for a, b in graph.arrows if b in kept]
    undirected = nx.Graph(lines)
    undirected.add_nodes_from(kept)
    moral = nx.Graph([*lines, *arrows])
    moral.add_nodes_from(kept)
    for component in nx.connected_components(undirected):
        moral.add_edges_from(combinations(sorted({a for a, b in arrows if b in component}), 2))
    moral.remove_nodes_from(z)
    return not any(nx.has_path(moral, a, b) for a in x for b in y)


def covariance(graph: ChainGraph[int], property: str, rng: random.Random) -> list[list[int]]:
    """The covariance of a generic Gaussian that is Markov and faithful to the graph, over the integers modulo PRIME.

    A component has (x - B pa)ᵀ K (x - B pa) as its quadratic form. K has the pattern of the lines; under AMP B, and under LWF K B, has the
    pattern of the arrows. With random entries in a large field, a minor that is not identically zero is zero with negligible probability.
    """
    n = len(graph.nodes)
    precision = [[0] * n for _ in range(n)]
    for component in graph.components:
        parents = list(graph.parents(component))
        nodes = [*component, *parents]
        k = [[rng.randrange(1, PRIME) if a == b else 0 for b in component] for a in component]
        for p, a in enumerate(component):
            for q, b in enumerate(component[:p]):
                if a in graph.neighbours(b):
                    k[p][q] = k[q][p] = rng.randrange(1, PRIME)
        coupling = [[rng.randrange(1, PRIME) if a in graph.children(b) else 0 for b in parents] for a in component]
        slope = coupling if property == "amp" else multiply(inverse(k), coupling)
        form = [[int(a == b) for b in component] + [-s % PRIME for s in row] for a, row in zip(component, slope, strict=True)]
        part = multiply(transpose(form), multiply(k, form))
        for p, a in enumerate(nodes):
            for q, b in enumerate(nodes):
                precision[a][b] = (precision[a][b] + part[p][q]) % PRIME
    return inverse(precision)


def independent(sigma: list[list[int]], x: int, y: int, z: Sequence[int]) -> bool:
    """Whether x and y are conditionally independent given z in a Gaussian: one minor of the covariance."""
    return determinant([[sigma[a][b] for b in (y, *z)] for a in (x, *z)]) == 0


def transpose(m: list[list[int]]) -> list[list[int]]:
    return [list(row) for row in zip(*m, strict=True)]


def multiply(a: list[list[int]], b: list[list[int]]) -> list[list[int]]:
    return [[sum(p * q for p, q in zip(row, column, strict=True)) % PRIME for column in zip(*b, strict=True)] for row in a]


def inverse(m: list[list[int]]) -> list[list[int]]:
    n = len(m)
    rows = [[*row, *(int(a == b) for b in range(n))] for a, row in enumerate(m)]
    _eliminate(rows, n)
    return [row[n:] for row in rows]


def determinant(m: list[list[int]]) -> int:
    return _eliminate([list(row) for row in m], len(m))


def _eliminate(rows: list[list[int]], n: int) -> int:
    """Gauss-Jordan in place; the determinant of the left square (0 stops early)."""
    result = 1
    for k in range(n):
        pivot = next((r for r in range(k, n) if rows[r][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot] = rows[pivot], rows[k]
            result = -result
        result = result * rows[k][k] % PRIME
        scale = pow(rows[k][k], -1, PRIME)
        rows[k] = [v * scale % PRIME for v in rows[k]]
        for r in range(n):
            if r != k and rows[r][k]:
                factor = rows[r][k]
                rows[r] = [(v - factor * w) % PRIME for v, w in zip(rows[r], rows[k], strict=True)]
    return result % PRIME


def is_open(graph: ChainGraph[int], walk: Sequence[int], z: Sequence[int], property: str) -> bool:
    """Whether a walk is open given z, by the definitions, from the edges alone."""
    arrows, lines = set(graph.arrows), {*graph.lines, *((b, a) for a, b in graph.lines)}
    marks = {**dict.fromkeys(arrows, "→"), **{(b, a): "←" for a, b in arrows}, **dict.fromkeys(lines, "—")}
    if any(step not in marks for step in pairwise(walk)):
        return False
    steps = [marks[step] for step in pairwise(walk)]
    if property == "amp":
        triplexes = {("→", "←"), ("→", "—"), ("—", "←")}
        return all((v in z) == (pair in triplexes) for v, pair in zip(walk[1:-1], pairwise(steps), strict=True))
    sections = [[walk[0]]]
    borders = []
    for v, step in zip(walk[1:], steps, strict=True):
        if step == "—":
            sections[-1].append(v)
        else:
            sections.append([v])
            borders.append(step)
    enters = ["", *borders]
    leaves = [*borders, ""]
    return all(
        (not set(section).isdisjoint(z)) == ((before, after) == ("→", "←"))
        for section, before, after in zip(sections, enters, leaves, strict=True)
    )
