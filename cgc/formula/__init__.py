"""From text to sympy without eval, the stable primitives, and the typed scalar tree that replaces sympy after derivation."""
