"""Chain graphs, and what a spec says as one. Of ``cgc``, ``ChainGraph`` needs nothing but itself."""

from cgc.graph.chain_graph import ChainGraph, NotAChainGraph
from cgc.graph.separation import Verdict

__all__ = ["ChainGraph", "NotAChainGraph", "Verdict"]
