"""Kernels as C99 without headers."""
