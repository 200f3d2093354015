"""Chain graphs, and a spec as one. ``ChainGraph`` and ``Template`` stand on their own; ``analysis.analyze`` is what the compiler calls.

>>> from cgc.graph import ChainGraph, NotAChainGraph
>>> graph = ChainGraph(arrows=[("a", "c"), ("b", "d")], lines=[("c", "d")])
>>> graph.components
(('a',), ('b',), ('c', 'd'))

Every verdict can be checked: an open walk if the nodes are connected, a certificate if they are separated.

>>> print(graph.separated("a", "b", given="c"))
a → c — d ← b
>>> verdict = graph.separated("a", "d", given=["b", "c"])
>>> bool(verdict), verdict.certificate
(True, Certificate(nodes=('a', 'c', 'b', 'd'), reached=('a',)))
>>> print(graph.separated("a", "d", given=["b", "c"], property="amp"))
a → c — d

What has to be given at least, so that two nodes are independent:

>>> graph.minimal_separator("a", "d")
('c', 'b')
>>> list(graph.minimal_separators("a", "d", property="amp"))
[()]
>>> graph.minimal_separator("a", "b", given="c", among="c") is None
True

Whatever is not a chain graph is refused with a semi-directed cycle.

>>> ChainGraph(arrows=[("a", "b")], lines=[("b", "c"), ("c", "a")])
Traceback (most recent call last):
    ...
cgc.graph.chain_graph.NotAChainGraph: semi-directed cycle: a, b, c, a
"""

from cgc.graph.chain_graph import ChainGraph, NotAChainGraph
from cgc.graph.separation import Verdict
from cgc.graph.time import Template

__all__ = ["ChainGraph", "NotAChainGraph", "Template", "Verdict"]
