"""A tree → YAML text that ``yaml.parse`` reads back as the same values. The same tree gives the same text."""

from __future__ import annotations

import re

from cgc.source.tree import Node, Scalar
from cgc.source.yaml import CORE

WIDTH = 140

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+*/() ⟂-]*")
# in a block, brackets and commas are plain text
_SENTENCE = re.compile(r"[A-Za-z0-9_][^#:'\"\\]*")
_NO_TEXT = re.compile("|".join(pattern for pattern, _ in CORE.values()))


def write(node: Node) -> str:
    """The text of a mapping, one section after another; what fits on a line stands on one."""
    return "\n".join(_block(node, 0)) + "\n"


def _block(node: Node, indent: int) -> list[str]:
    blank = " " * indent
    lines = []
    if node.items is not None:
        return [f"{blank}- {_scalar(item.scalar, True) if _is_scalar(item) else _flow(item)}" for item in node.items]
    for key, entry in (node.entries or {}).items():
        name, value = _scalar(key, False), entry.node
        if _is_scalar(value):
            lines.append(f"{blank}{name}: {_scalar(value.scalar, True)}")
            continue
        flow = f"{blank}{name}: {_flow(value)}"
        # sections stand as blocks, what is in them on one line each
        shallow = indent > 0 or (all(_is_scalar(child.node) for child in (value.entries or {}).values()) and value.items is None)
        if (shallow and len(flow) <= WIDTH) or not (value.entries or value.items):
            lines.append(flow)
        else:
            lines += [f"{blank}{name}:", *_block(value, indent + 2)]
    return lines


def _is_scalar(node: Node) -> bool:
    return node.items is None and node.entries is None


def _flow(node: Node) -> str:
    if node.items is not None:
        return "[" + ", ".join(_flow(item) for item in node.items) + "]"
    if node.entries is not None:
        return "{" + ", ".join(f"{_scalar(key, False)}: {_flow(entry.node)}" for key, entry in node.entries.items()) + "}"
    return _scalar(node.scalar, False)


def _scalar(value: Scalar, block: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if not value.isprintable():
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value) + '"'
    plain = (_SENTENCE if block else _WORD).fullmatch(value) and not value.endswith(" ") and not _NO_TEXT.fullmatch(value)
    return value if plain else "'" + value.replace("'", "''") + "'"
