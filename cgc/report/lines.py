"""How values of an output with lines are inferred, in words, and how exact that is."""

from __future__ import annotations

from cgc.program.ir import Layer
from cgc.program.lines import LineFactors


def inference_rows(layer: Layer, lines: LineFactors) -> list[tuple[str, str]]:
    """What stands for ``sampling`` and ``likelihood`` of a layer with lines, as rows of a name and a value."""
    match lines.method:
        case "chain":
            return [
                (
                    "inference",
                    "exact: a pass along the chain sums states out, a pass back gives marginals, draws and the best path (Viterbi)",
                ),
                ("sampling", "the last node, then each given the next one (forward filtering, backward sampling)"),
                ("likelihood", "log P(y | e) = the sum of the logarithms of all factors - log Z"),
            ]
        case "listed":
            count = lines.count**layer.size
            return [
                ("inference", f"exact: sums over all {count:,} joint states".replace(",", " ")),
                ("sampling", "a joint state by weight"),
                ("likelihood", "log P(y | e) = the sum of the logarithms of all factors - log Z"),
            ]
        case "mean_field":
            steps, damping = lines.written.steps, lines.written.damping
            update = f"m <- {damping:g} m + {1 - damping:g} M(E[T(X) | e + m])" if damping else "m <- M(E[T(X) | e + m])"
            return [
                ("inference", "approximate: mean field, q(y) = prod_i p(y_i | e_i + m_i), M what neighbours add given their expectations"),
                ("", f"{update}, {steps} times from m = 0, all nodes in parallel"),
                ("sampling", "from q, node by node"),
                (
                    "likelihood",
                    "approximate: sum_i log q(y_i) in place of log P(y | e), also in the loss; the most probable states are those of q",
                ),
            ]
