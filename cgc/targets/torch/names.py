"""Names of classes, from the names of specs, components and families."""

from __future__ import annotations

# how these are spelled when they end a word; spelling only, nothing depends on it
_CAPITALS = ("rnn", "srn", "cnn", "crf", "lstm", "gru", "mlp")


def class_name(name: str) -> str:
    """``mnist_dense`` → ``MnistDense``, ``indrnn`` → ``IndRNN``."""
    return "".join(_word(part) for part in name.split("_") if part)


def _word(part: str) -> str:
    for ending in _CAPITALS:
        if part.endswith(ending):
            return part[: -len(ending)].capitalize() + ending.upper()
    return part[:1].upper() + part[1:]


def distinct(wanted: str, taken: set[str], suffix: str) -> str:
    """``wanted``, or with ``suffix`` and a number if it is taken; the result is then taken."""
    name, count = wanted, 1
    while name in taken:
        name = wanted + suffix + (str(count) if count > 1 else "")
        count += 1
    taken.add(name)
    return name
