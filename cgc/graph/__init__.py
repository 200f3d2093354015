"""Chain graphs, and a spec as one. ``ChainGraph`` can be used on its own; ``analysis.analyze`` is what the compiler calls."""

from cgc.graph.chain_graph import ChainGraph, NotAChainGraph
from cgc.graph.separation import Verdict

__all__ = ["ChainGraph", "NotAChainGraph", "Verdict"]
