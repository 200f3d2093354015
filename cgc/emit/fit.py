"""Whether the data that a spec trains on fit its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from cgc.emit.data_sets import IMAGES, inputs, targets
from cgc.families.forms import FiniteExponential, Indicators, Law
from cgc.source.diagnostics import Diagnostic
from cgc.source.text import Span
from cgc.spec.model import Component, Data, Spec


def check_data(spec: Spec) -> list[Diagnostic]:
    """What keeps the data of ``spec.train`` from being this graph's inputs and outputs; empty if nothing does (CG701 to CG707)."""
    if spec.train is None:
        return []
    data = spec.train.data
    if data.name == "npz":  # whether the arrays fit, train.py finds out
        return []
    given, wanted = inputs(spec), targets(spec)
    if len(given) != 1 or len(wanted) > 1:
        have = f"{_count(len(given), 'input')} and {_count(len(wanted), 'output')}"
        what = {"adding": "a sequence and a sum", "tags": "tokens and their tags"}.get(data.name, "one image and its label")
        why = f"an example of {data.name} is {what}"
        return [Diagnostic("CG701", f"{data.name} cannot train a graph with {have}", _place(spec), why=why, help="declare one of each")]
    if data.name in ("adding", "tags"):
        return list(_check_sequences(spec, given[0], wanted, data))
    findings = _check_split(spec, data)
    findings += _check_shape(spec, given[0], data)
    findings += _check_pixels(spec, given[0], data)
    for output in wanted:
        findings += _check_image(spec, output, data) if data.predict == "image" else _check_output(spec, output, data)
    if not wanted and (data.predict == "image" or data.relabel is not None):
        message = "no output is compared with what `predict` and `relabel` make of the data"
        findings.append(Diagnostic("CG705", message, _place(spec), help="remove them"))
    return findings


def _place(spec: Spec) -> Span:
    """What to point at for the data as a whole."""
    assert spec.train is not None
    return spec.train.data.span or spec.train.span or spec.span


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _check_split(spec: Spec, data: Data) -> list[Diagnostic]:
    if data.name != "digits" or data.validation is None:
        return []
    why = "row i is for testing if i % 5 = 4, for validation if i % 5 = 3"
    return [Diagnostic("CG707", "the split of digits is fixed", _place(spec), why=why, help="leave out `validation`")]


def _check_shape(spec: Spec, given: Component, data: Data) -> list[Diagnostic]:
    """Nodes and time steps of the input against the layout."""
    nodes, steps = IMAGES[data.name].shape(data.layout)
    findings = []
    layout = f"{data.name} as {data.layout}"
    if given.nodes != nodes:
        findings.append(_other_nodes(f"{layout} does not fit the nodes of `{given.name}`", given, nodes, ", or another `as`"))
    if spec.steps != steps:
        message = f"{layout} has {_count(steps, 'time step') if steps else 'no time'}, the graph {spec.steps or 'none'}"
        help = f"use `time: {{steps: {steps}}}`, or another `as`" if steps else "use `as: row_sequence` or `as: pixel_sequence`"
        findings.append(Diagnostic("CG703", message, _place(spec), help=help))
    return findings


def _other_nodes(message: str, component: Component, nodes: tuple[int, ...], more: str = "") -> Diagnostic:
    wanted = f"nodes: {nodes[0] if len(nodes) == 1 else list(nodes)}"
    label = f"{_extent(component.nodes)} here, {_extent(nodes)} in the data"
    return Diagnostic("CG702", message, component.nodes_span or component.span, label, help=f"use `{wanted}`{more}")


def _extent(nodes: tuple[int, ...]) -> str:
    return " x ".join(str(extent) for extent in nodes)


def _check_pixels(spec: Spec, node: Component, data: Data) -> list[Diagnostic]:
    """The pixels' values against the states of an input, or of an output that predicts them."""
    law = spec.family(node.family).law
    message = f"pixels are no values of `{node.name}`"
    given = node.role == "input"
    two = "use `family: {kind: binary, values: [0, 1]}"
    if isinstance(law, Indicators):
        why = "its values are labels, a pixel is a number between 0 and 1"
        return [Diagnostic("CG704", message, node.span, why=why, help=f"{two}, clamp: soft`" if given else f"{two}` and a `threshold`")]
    if not isinstance(law, FiniteExponential):
        return []
    states = ", ".join(str(state) for state in law.support)
    if given and data.standardize:
        why = f"standardised pixels are real numbers, its values lie between {min(law.support)} and {max(law.support)}"
        return [Diagnostic("CG704", message, node.span, why=why, help="use `family: {kind: gaussian, std: 1}`, or no `standardize`")]
    if data.threshold is not None:
        # nodes of two states take these in place of 0 and 1
        if len(law.support) == 2 or all(pixel in law.support for pixel in (0, 1)):
            return []
        why = f"with a threshold a pixel is 0 or 1, its states are {states}"
        return [Diagnostic("CG704", message, node.span, why=why, help="use `values: [0, 1]`")]
    if node.clamp == "soft":
        if min(law.support) <= 0 and max(law.support) >= 1:
            return []
        why = f"pixels lie between 0 and 1, its values between {min(law.support)} and {max(law.support)}"
        return [Diagnostic("CG704", message, node.span, why=why, help="use `values: [0, 1]`")]
    levels = IMAGES[data.name].levels
    if all(Fraction(k, levels) in law.support for k in range(levels + 1)):
        return []
    why = f"a pixel is a number between 0 and 1, its states are {states}"
    help = "use `clamp: soft`, or `threshold: 0.5` in the data" if given else "use `threshold: 0.5` in the data"
    return [Diagnostic("CG704", message, node.span, why=why, help=help)]


def _check_image(spec: Spec, output: Component, data: Data) -> list[Diagnostic]:
    """The image as a target: nodes, time and values."""
    nodes, steps = IMAGES[data.name].shape(data.layout)
    findings = []
    if output.nodes != nodes:
        findings.append(_other_nodes(f"the image is the target, and does not fit the nodes of `{output.name}`", output, nodes))
    if steps is not None and output.at == "last":
        message = f"the image is the target, one part at each step, and `{output.name}` is there at the last step only"
        findings.append(Diagnostic("CG705", message, output.span, help="remove `at: last`"))
    return findings + _check_pixels(spec, output, data)


def _check_output(spec: Spec, output: Component, data: Data) -> list[Diagnostic]:
    """The labels against what the output can be."""
    law = spec.family(output.family).law
    classes = IMAGES[data.name].classes
    if output.size != 1:
        message = f"`{output.name}` has {output.size} nodes, an example of {data.name} has one label"
        place = output.nodes_span or output.span
        help = f"use `nodes: 1` with `family: {{kind: categorical, labels: {classes}}}`"
        return [Diagnostic("CG705", message, place, help=help)]
    if spec.steps is not None and output.at == "all":
        message = f"`{output.name}` has a value at every time step, an example of {data.name} has one label"
        return [Diagnostic("CG705", message, output.span, help="use `at: last`")]
    if data.relabel is not None and len(data.relabel) != classes:
        message = f"`relabel` is for {_count(len(data.relabel), 'label')}, {data.name} has {classes}"
        return [Diagnostic("CG706", message, _place(spec), help="list the new label of each, from that of 0 on")]
    labels = data.relabel or tuple(range(classes))
    most = max(labels) + 1
    if isinstance(law, Indicators) and (law.labels != most or min(labels) < 0):
        there = f"relabelled {data.name}" if data.relabel else data.name
        message = f"`{output.name}` has {law.labels} labels, {there} has {most if min(labels) >= 0 else 'negative ones'}"
        place = spec.family(output.family).place("labels")
        return [Diagnostic("CG706", message, place, help=f"use `labels: {most}`" if min(labels) >= 0 else "relabel from 0 on")]
    if isinstance(law, FiniteExponential) and not all(label in law.support for label in labels):
        states = ", ".join(str(state) for state in law.support)
        message = f"the labels of {data.name} are no values of `{output.name}`"
        shown = ", ".join(map(str, sorted(set(labels)))) if data.relabel else f"0 to {classes - 1}"
        why = f"labels are {shown}, its states are {states}"
        help = f"use `family: {{kind: categorical, labels: {most}}}`"
        return [Diagnostic("CG706", message, output.span, why=why, help=help)]
    return []


def _check_sequences(spec: Spec, given: Component, wanted: tuple[Component, ...], data: Data) -> Iterator[Diagnostic]:
    """Generated sequences: numbers with marks and their sum, or tokens with tags."""
    adding = data.name == "adding"
    nodes = (2,) if adding else (1,)
    least = 2 if adding else data.max_steps
    if spec.steps is None or (spec.steps < 2 if adding else spec.steps != data.max_steps):
        message = f"{data.name} has {'' if adding else 'up to '}{'2 time steps or more' if adding else _count(least, 'time step')}"
        yield Diagnostic("CG703", f"{message}, the graph {spec.steps or 'none'}", _place(spec), help=f"use `time: {{steps: {least}}}`")
    if given.nodes != nodes:
        yield _other_nodes(f"{data.name} does not fit the nodes of `{given.name}`", given, nodes)
    law = spec.family(given.family).law
    if adding and isinstance(law, Indicators | FiniteExponential):
        why = "they are numbers between 0 and 1, and marks"
        help = "use `family: {kind: gaussian, std: 1}`"
        yield Diagnostic("CG704", f"the sequences of adding are no values of `{given.name}`", given.span, why=why, help=help)
    if not adding and not _has_labels(law, data.tokens):
        help = f"use `family: {{kind: categorical, labels: {data.tokens}}}`"
        yield Diagnostic("CG704", f"the tokens are no values of `{given.name}`", given.span, why=f"there are {data.tokens}", help=help)
    for output in wanted:
        law = spec.family(output.family).law
        if output.size != 1 or (spec.steps is not None and (output.at == "last") != adding):
            message = f"{data.name} has one {'sum' if adding else 'tag'} {'at the last step' if adding else 'at every step'}"
            help = "use `nodes: 1` and `at: last`" if adding else "use `nodes: 1`, without `at: last`"
            yield Diagnostic("CG705", f"{message}, `{output.name}` something else", output.span, help=help)
        elif adding and isinstance(law, Indicators | FiniteExponential):
            help = "use `family: {kind: gaussian, std: 0.1}`"
            yield Diagnostic("CG706", f"the sums are no values of `{output.name}`", output.span, why="they are real numbers", help=help)
        elif not adding and not _has_labels(law, data.tags):
            help = f"use `family: {{kind: categorical, labels: {data.tags}}}`"
            yield Diagnostic("CG706", f"the tags are no values of `{output.name}`", output.span, why=f"there are {data.tags}", help=help)


def _has_labels(law: Law, labels: int) -> bool:
    return isinstance(law, Indicators) and law.labels == labels
