"""Names that emitted code uses itself, so that components and edges cannot have them; a test finds out whether any is missing."""

from __future__ import annotations

IN_LAYERS = frozenset(
    ["F", "Tensor", "drive", "e", "e_t", "forward", "how", "mask", "nn", "normalize", "past", "self", "step", "steps", "torch", "valid"]
)
"""In the class of a component, where parents and edges are arguments and attributes."""

IN_MODELS = frozenset(
    [
        "Inference",
        "Model",
        "NamedTuple",
        "Outputs",
        "State",
        "k",
        "keep",
        "kept",
        "last",
        "layer",
        "lengths",
        "log_p",
        "math",
        "n",
        "now",
        "one_hot",
        "return_state",
        "shifted",
        "state",
        "t",
    ]
)
"""In the class of the model, where components are variables and attributes."""
