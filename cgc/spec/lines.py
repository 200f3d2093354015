"""``lines`` of a component: held against its nodes, its family and time."""

from __future__ import annotations

from cgc.families.forms import FiniteExponential, Indicators
from cgc.source.text import Span
from cgc.source.tree import Node
from cgc.spec import surface
from cgc.spec.model import Family, Lines
from cgc.spec.validate import Reader, whole

_Written = surface.ChainLines | surface.GridLines | surface.DenseLines | surface.ListLines


def read_lines(reader: Reader, name: str, node: Node, body: surface.ComponentBody, family: Family | None, timed: bool) -> Lines | None:
    """The lines of component ``name``, whose section is ``node``; None, with Diagnostics, if something is wrong with them."""
    written = body.lines
    assert written is not None
    place = node.find(("lines",))[0]
    if body.role == "input":
        why = "an input is given, and its nodes are linked anyway, unless it is `independent`"
        reader.error("CG331", "an input has no `lines`", place, why=why, help="remove it")
        return None
    if family is not None and not isinstance(family.law, (FiniteExponential, Indicators)):
        message = f"lines need nodes with finitely many states, and `{name}` is {family.kind}"
        why = "a component with lines is normalised over all states of its nodes together"
        help = "use `binary`, `categorical`, or `exponential_family` on a list of states"
        reader.error("CG350", message, place, why=why, help=help)
        return None
    found = len(reader.findings)
    over_time = _along_time(written, body, timed)
    pairs: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    axes: tuple[int, ...] = ()
    if isinstance(written, surface.ListLines):
        pairs = _pairs(reader, name, node, written, body.nodes)
    elif over_time:
        _check_time(reader, name, node, written, body, timed)
    else:
        axes = _axes(reader, name, node, written, body)
    if len(reader.findings) > found:
        return None
    inference = written.inference
    field = surface.MeanField(kind="mean_field") if isinstance(inference, surface.ExactInference) else inference
    ends = isinstance(written, surface.ChainLines) and written.ends
    return Lines(written.kind, place, axes, over_time, pairs, ends, inference.kind, field.steps, float(field.damping))


def _along_time(written: _Written, body: surface.ComponentBody, timed: bool) -> bool:
    """Whether the lines run along time: as said, or because there is one node per step."""
    if isinstance(written, surface.ListLines):
        return False
    return written.along == () or (written.along is None and written.kind == "chain" and timed and set(body.nodes) == {1})


def _check_time(reader: Reader, name: str, node: Node, written: _Written, body: surface.ComponentBody, timed: bool) -> None:
    place = _place(node, "along")
    if written.kind != "chain":
        message, why = f"a {written.kind} of lines cannot run along time", "the copies of a node at all times form a chain"
        reader.error("CG351", message, place, why=why, help="write `lines: {kind: chain, along: time}`")
    elif not timed:
        reader.error("CG333", "lines along time need time steps", place, help="add `time: {steps: …}`")
    elif body.at == "last":
        why = f"`{name}` is there at the last step only"
        reader.error("CG333", "lines along time need all steps", place, why=why, help="remove `at: last`, or the lines")


def _axes(reader: Reader, name: str, node: Node, written: _Written, body: surface.ComponentBody) -> tuple[int, ...]:
    """The axes that lines run along: as said, or by default."""
    count = len(body.nodes)
    shape = " x ".join(str(extent) for extent in body.nodes)
    along = None if isinstance(written, surface.ListLines) else written.along
    place = _place(node, "along")
    if along is None:
        axes = tuple(range(count))[-2:] if written.kind == "grid" else tuple(range(count))
    else:
        axes = tuple(int(axis) for axis in along)
        for axis in axes:
            if not 0 <= axis < count:
                help = f"its axes are 0 to {count - 1}" if count > 1 else "its only axis is 0"
                reader.error("CG351", f"`{name}`, with {shape} nodes, has no axis {axis}", place, help=help)
                return ()
        if len(set(axes)) < len(axes):
            reader.error("CG351", "an axis stands twice in `along`", place, help="name it once")
            return ()
    if written.kind == "chain" and len(axes) > 1:
        why = f"a chain runs along one axis, and `{name}` has {shape} nodes" if along is None else "a chain runs along one axis"
        help = "say which: `lines: {kind: chain, along: 0}`" + "; a `grid` runs along several" * (along is not None)
        reader.error("CG351", "along which axis do the lines run?", place, why=why, help=help)
    elif written.kind == "grid" and len(axes) < 2:
        help = "write `chain`" if count == 1 else "name two axes, or write `chain`"
        reader.error("CG351", "a grid runs along two axes or more", place, help=help)
    elif all(body.nodes[axis] == 1 for axis in axes):
        help = "remove `lines`, or add nodes"
        reader.error("CG352", f"the lines of `{name}` join nothing", place, why="there is one node along them", help=help)
    return axes


def _pairs(
    reader: Reader, name: str, node: Node, written: surface.ListLines, extents: tuple[int, ...]
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """The listed pairs; one finding for each that is wrong."""
    first: dict[tuple[tuple[int, ...], ...], int] = {}
    for number, (a, b) in enumerate(written.pairs):
        place = _place(node, "pairs", number)
        for end in (a, b):
            if len(end) != len(extents):
                help = "as in [[0, 0], [0, 1]]" if len(extents) > 1 else "as in [0, 1]"
                indices = f"{len(extents)} {'index' if len(extents) == 1 else 'indices'}"
                reader.error("CG352", f"a node of `{name}` has {indices}, not {len(end)}", place, help=help)
                break
            if not all(0 <= k < extent for k, extent in zip(end, extents, strict=True)):
                shown = ", ".join(str(k) for k in end)
                help = "its indices run from 0 to " + ", ".join(str(extent - 1) for extent in extents)
                reader.error("CG352", f"there is no node {shown} in `{name}`", place, help=help)
                break
        else:
            if a == b:
                reader.error("CG352", "a line joins a node to itself", place, help="name two nodes")
            elif (line := tuple(sorted((a, b)))) in first:
                why = f"it is pair {first[line]} of the list already, counted from 0"
                reader.error("CG353", "this line stands twice", place, why=why, help="remove one of the two")
            else:
                first[line] = number
    return tuple((a, b) for a, b in written.pairs)


def _place(node: Node, *path: str | int) -> Span:
    """The place of a field of ``lines``, or of ``lines`` if it was not written."""
    key, value = node.find(("lines", *path))
    return whole(value, key)
