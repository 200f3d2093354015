"""The typed description of the computation, between derivation and printed code."""
