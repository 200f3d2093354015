"""The most probable state of a node whose log-likelihood lists its states."""

from __future__ import annotations

from cgc.formula.scalar import Op, Scalar, Var


def most_probable(log_likelihood: Scalar | None) -> Scalar | None:
    """The state with the largest log-probability, as a function of e; None for a node that is not made of listed states alone."""
    states: list[tuple[Scalar, Scalar]] = []
    rest = log_likelihood
    while isinstance(rest, Op) and rest.name == "where":
        condition, log_p, rest = rest.args
        if not (isinstance(condition, Op) and condition.name == "eq" and condition.args[0] == Var("x")):
            return None
        states.append((condition.args[1], log_p))
    if not states or rest != Op("neg", (Op("infinity", ()),)):
        return None
    best, highest = states[0]
    for state, log_p in states[1:]:
        best = Op("where", (Op("gt", (log_p, highest)), state, best))
        highest = Op("max", (highest, log_p))
    return best
