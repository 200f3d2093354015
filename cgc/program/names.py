"""Names that emitted code uses itself, so that components and edges cannot have them; a test finds out whether any is missing."""

from __future__ import annotations

# in the class of a component, where parents and edges are arguments and attributes
IN_LAYERS = frozenset(
    {
        *("F", "Tensor", "drive", "e", "e_t", "forward", "how", "list", "mask", "nn", "normalize", "past", "range", "self", "step"),
        *("kernels", "lines", "steps", "super", "torch", "valid", "weight_norm"),
    }
)

# in the class of the model, where components are variables and attributes
IN_MODELS = frozenset(
    {
        *("Inference", "Model", "NamedTuple", "Outputs", "State", "enumerate", "float", "int", "k", "keep", "kept", "last", "layer"),
        *("len", "lengths", "log_p", "math", "next", "now", "one_hot", "shifted", "t"),
    }
)

# the same, where inputs are arguments beside others
IN_CALLS = frozenset({"n", "return_state", "state"})
