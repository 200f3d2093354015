"""Fused kernels as data: typed arithmetic that targets print as C or Triton, and what of a program is computed in it."""
