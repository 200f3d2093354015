"""The program as stable text."""

from __future__ import annotations

from cgc.formula.scalar import dump as dump_scalar
from cgc.graph.predicate import text
from cgc.program.ir import Contribution, Layer, Map, Module, Program, Refine, Repeat, Scan, Stage
from cgc.program.lines import LineFactors


def dump(program: Program) -> str:
    """One line for each input, layer, contribution and law."""
    lines = [f"program {program.name}" + (f"  steps {program.steps}" if program.steps else "")]
    for item in program.inputs:
        lines.append(f"input {item.name} {list(item.nodes)} {item.law}{' soft' if item.soft else ''}")
    for stage in program.stages:
        lines += _stage(stage, "")
    lines.append("outputs " + " ".join(program.outputs))
    for name, law in program.laws:
        lines.append(f"law {name} = {dump_scalar(law.computed)}")
    return "\n".join(lines) + "\n"


def _stage(stage: Stage, indent: str) -> list[str]:
    match stage:
        case Map():
            return _layer(stage.layer, indent + "map ")
        case Scan():
            return [indent + "scan", *(line for layer in stage.layers for line in _layer(layer, indent + "  step "))]
        case Module():
            given = ", ".join(f"{a.name} = {a.source}{f' @ t-{a.lag}' if a.lag else ''}" for a in stage.arguments)
            head = f"{indent}module {stage.name}({given}) -> {', '.join(stage.outputs)}"
            return [head, *(line for inner in stage.stages for line in _stage(inner, indent + "  "))]
        case Refine():
            lines = [f"{indent}refine {stage.layer.name} {len(stage.levels)}x" + ", copies drawn independently" * stage.independent]
            for level in stage.levels:
                lines += [*_layer(level.copy, indent + "  copy "), *_stage(level.module, indent + "  ")]
            return [*lines, *_layer(stage.layer, indent + "  map ")]
        case Repeat():
            head = f"{indent}repeat {stage.component} {len(stage.stages)}x, each reads the one before as {stage.chained}"
            return [head, *(line for inner in stage.stages for line in _stage(inner, indent + "  "))]


def _layer(layer: Layer, head: str) -> list[str]:
    words = [f"{head}{layer.name} {list(layer.nodes)} {layer.law}"]
    words += [f"bias {layer.bias}", f"normalised {layer.normalised}"]
    words += [f"onto {layer.onto}"] * (layer.onto is not None)
    words += [f"in {layer.groups} groups"] if layer.groups is not None else []
    words += ["last"] * layer.last + ["output"] * layer.output
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    lines = [] if layer.lines is None else [f"{indent}{_lines(layer.lines)}"]
    return [", ".join(words), *(f"{indent}{_contribution(c)}" for c in layer.contributions), *lines]


def _lines(lines: LineFactors) -> str:
    written = lines.written
    where = "time" if written.time else f"axes {list(written.axes)}" if written.axes else f"{len(written.pairs)} pairs"
    words = [f"lines {written.kind} along {where}", f"weight {list(lines.weight_shape)}"]
    words += ["ends"] * written.ends
    words.append(lines.method + (f" {written.steps} steps, damping {written.damping:g}" if lines.method == "mean_field" else ""))
    return ", ".join(words)


def _contribution(c: Contribution) -> str:
    p = c.product
    words = [f"{c.name} <- {c.source}{f' @ t-{c.lag}' if c.lag else ''}: {p.kind} {p.inputs} -> {p.outputs}"]
    if p.geometry is not None:
        words += [f"{p.geometry.groups} groups"] * (p.geometry.groups > 1)
        words += [f"window {w.kernel} / {w.stride} dilation {w.dilation} before {w.before}" for w in p.geometry.windows]
    if p.key is not None:
        words.append(f"{p.classes} weights by {text(p.key)}")
    if p.mask is not None:
        words.append(f"where {text(p.mask)}")
    if p.fixed is not None:
        words.append(f"weight {p.fixed:g}")
    words += ["weight g v / |v|"] * p.weight_norm
    if c.block is not None:
        words.append("to block {} from {} to {}".format(*c.block))
    if not c.own:
        words.append(f"weight of {c.weight}")
    if c.dropout is not None:
        words.append(f"gate {c.dropout.kind} {c.dropout.keep_prob if c.dropout.kind == 'bernoulli' else c.dropout.std:g}")
    if c.opening is not None:
        o = c.opening
        words.append(f"gate {o.source} " + (f"{o.scale:g} x + {o.shift:g}" if o.label is None else f"label {o.label}"))
    return ", ".join(words)
