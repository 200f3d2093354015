"""Minimal separators: given nodes and as few others as can be that separate x from y, one of them or all.

Minimal is meant by inclusion: no proper subset that contains the given nodes separates. (There may be a separator with fewer nodes.)

*LWF.* Let z be a separator that contains the given nodes, and A the smallest ancestral set of x, y and the given nodes. Then z ∩ A
separates: its moral graph, that of A, is a subgraph of the moral graph for z, and z meets it in z ∩ A. So minimal separators lie in A; all
z in A are tested in one graph, the moral graph of A; and there the minimal ones are those of an undirected graph, which can be listed with
polynomial delay (Shen and Liang 1997; for directed acyclic graphs: van der Zander, Liśkiewicz and Textor 2019).

*AMP.* There is no such set A. In x — c — y with a → c, neither {c} nor {a} separates x from y, but {a, c} does; in x → c — y the empty set
separates but {c} does not. What stays true: if z separates, so does z with more ancestors of x, y and z, for the augmented graph remains
the same. Other nodes are tried one after another along open walks. This takes exponential time in the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cgc.graph.links import Links
from cgc.graph.moral import Moral, ancestors
from cgc.graph.separation import Property, open_walk

Nodes = frozenset[int]


@dataclass(frozen=True)
class Question:
    """What separates ``x`` from ``y``? Sets are pairwise disjoint."""

    links: Links
    x: Nodes
    y: Nodes
    given: Nodes
    property: Property

    def walk(self, z: Nodes, avoiding: Nodes = frozenset()) -> list[int]:
        """An open walk from x to y given z; empty if there is none."""
        return open_walk(self.links, sorted(self.x), self.y, z, self.property, avoiding)

    def moral(self, z: Nodes) -> Moral:
        """The undirected graph in which z is seen to separate or not."""
        return Moral(self.links, self.x | self.y | z, self.property)


def minimal_separator(question: Question, among: Nodes) -> Nodes | None:
    """A minimal separator that adds only nodes of ``among`` to those given; None if there is none.

    Of all such, it is the one nearest to x under LWF: x reaches the fewest nodes. In linear time for LWF.
    """
    z = _separator(question, question.given, among)
    if z is None:
        return None
    # Both graphs shrink with z, so that what separates in this one does.
    nearest = _next(question, question.moral(z), question.x, z - question.given)
    assert nearest is not None
    if question.property == "amp":
        for v in sorted(nearest):
            smaller = _separator(question, question.given, nearest - {v})
            nearest = nearest if smaller is None else smaller - question.given
    return question.given | nearest


def minimal_separators(question: Question, among: Nodes) -> Iterator[Nodes]:
    """All minimal separators, each once: for LWF by their distance from x, with polynomial delay; for AMP in the order of the search."""
    return (_lwf if question.property == "lwf" else _amp)(question, among)


def _separator(question: Question, given: Nodes, among: Nodes) -> Nodes | None:
    """Any separator that contains ``given`` and adds only nodes of ``among``; None if there is none."""
    stack = [(given, among)]
    while stack:
        z, left = stack.pop()
        z |= left & ancestors(question.links, question.x | question.y | z, question.property)
        left -= z
        walk = question.walk(z)
        if not walk:
            return z
        # An open walk that meets none of them remains open. Under LWF open walks run among ancestors, so that there is no choice.
        if not left.isdisjoint(walk) and not question.walk(z, left):
            stack += _branches(walk, z, left)
    return None


def _branches(walk: list[int], z: Nodes, left: Nodes) -> list[tuple[Nodes, Nodes]]:
    """A separator contains a node of the walk that z does not: the cases by the first such node, the last case first."""
    cases = []
    for v in dict.fromkeys(walk):
        if v in left:
            left -= {v}
            cases.append((z | {v}, left))
    return cases[::-1]


def _next(question: Question, moral: Moral, inside: Nodes, among: Nodes) -> Nodes | None:
    """The minimal separator in ``moral`` nearest to x with ``inside``, which is connected to x, on the side of x; None if there is none."""
    reached, border = moral.flood(inside, (among - inside) | question.given)
    if not reached.isdisjoint(question.y):
        return None
    return frozenset(moral.flood(question.y, border | question.given)[1]) - question.given


def _lwf(question: Question, among: Nodes) -> Iterator[Nodes]:
    """Shen and Liang (1997): each minimal separator leads to those that lie next behind one of its nodes."""
    moral = question.moral(question.given)
    first = _next(question, moral, question.x, among)
    queue = [] if first is None else [first]
    seen = set(queue)
    for z in queue:
        yield question.given | z
        side = frozenset(moral.flood(question.x, question.given | z)[0])
        for v in sorted(z):
            following = _next(question, moral, side | {v}, among)
            if following is not None and following not in seen:
                seen.add(following)
                queue.append(following)


def _amp(question: Question, among: Nodes) -> Iterator[Nodes]:
    """Those of a complete search along open walks from which nothing can be left out."""
    given = question.given
    stack = [(given, among)]
    while stack:
        z, left = stack.pop()
        if _separator(question, z, left) is None:
            continue
        if walk := question.walk(z):
            stack += _branches(walk, z, left)
        elif all(_separator(question, given, z - given - {v}) is None for v in z - given):
            yield z
