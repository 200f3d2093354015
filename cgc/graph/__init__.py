"""Chain graphs, and a spec as one. ``ChainGraph`` and ``Template`` stand on their own; ``analysis.analyze`` is what the compiler calls."""

from cgc.graph.chain_graph import ChainGraph, NotAChainGraph
from cgc.graph.separation import Verdict
from cgc.graph.time import Template

__all__ = ["ChainGraph", "NotAChainGraph", "Template", "Verdict"]
