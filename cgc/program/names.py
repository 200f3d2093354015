"""Names that emitted code uses itself, so that no component, edge or output can have them."""

from __future__ import annotations

_EMITTED = """
F Inference Model NamedTuple Outputs State Tensor e e_t how k keep kept last law layer lengths log_p math n nn normalize now one_hot past
return_state self shifted state step drive steps t torch valid
"""
EMITTED = frozenset(_EMITTED.split())
