"""``cgc inspect`` as text: the graph, then component by component what was derived."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence

from cgc.compiler import Model, Reading
from cgc.derive.derivation import Derivation
from cgc.families.forms import Indicators
from cgc.graph.parts import Part, PartEdge, PartLines
from cgc.graph.predicate import text as predicate_text
from cgc.graph.stated import stands_for
from cgc.program.energies import update_text
from cgc.program.ir import Contribution, Input, Layer, Product
from cgc.program.parameters import Parameter, learned_size, parameters
from cgc.report.factors import factors, within
from cgc.report.lines import inference_rows
from cgc.report.normalised import normalisation_lines
from cgc.report.priors import prior_lines

WITHOUT_LINES = "of a node without lines; given its neighbours, their potentials add to its energy"


def report(known: Reading, component: str | None = None, steps: bool = False, latex: bool = False) -> str:
    """The whole report, or the part about one component: of a Model, or what is known of a Reading that cannot be compiled.

    Raises KeyError for a component that does not exist.
    """
    model = known if isinstance(known, Model) else None
    blocks = []
    if component is None:
        blocks.append(_head(known, model, latex))
    else:
        if not any(within(component, c.name) for c in known.spec.components):
            raise KeyError(component)
    blocks += [block] if (block := _factors(known, component, latex)) else []
    shown: dict[str, str] = {}
    if model is None:
        blocks += [_part(known, part, steps, shown, latex) for part in known.graph.parts if within(component, part.component)]
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"
    owned = _owned(model)
    for item in model.program.inputs:
        if within(component, item.name):
            blocks.append(_input(model, item))
    for layer in model.program.layers():
        if within(component, layer.component):
            blocks.append(_layer(model, layer, owned.get(layer.name, [])))
            if steps:
                blocks[-1] += _steps(model.program.law(layer.law), shown.get(layer.law), latex)
            shown.setdefault(layer.law, layer.name)
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head(known: Reading, model: Model | None, latex: bool) -> list[str]:
    spec, graph = known.spec, known.graph
    lines = [spec.name + (f": {spec.doc}" if spec.doc else "")]
    if spec.params:
        lines.append(row("params", ", ".join(f"{name} = {value:g}" for name, value in spec.params)))
    lines.append(row("joint", graph.factorisation(latex)))
    lines.append(row("graph", _kind(known)))
    if graph.flags is None:
        lines.append(row("flags", "too many nodes to say"))
    lines += [row("flags" if k == 0 else "", str(flag)) for k, flag in enumerate(graph.flags or ())]
    lines += [row("statement" if k == 0 else "", str(verdict)) for k, verdict in enumerate(graph.statements)]
    if model is not None:
        lines.append(row("size", f"{learned_size(model.program):,} learned parameters".replace(",", " ")))
    for mode, inference in (("training", spec.train_inference), ("evaluation", spec.eval_inference)):
        words: str = inference.method
        if inference.method == "pcff":
            rates = ", ".join(f"{n}: {r:g}" for n, r in inference.sample_rates) or f"{inference.sample_rate:g}"
            words += f", sample_rate {rates}, gradient {inference.gradient}"
        if inference.method == "sample" and mode == "evaluation":
            words += f", {inference.samples} samples"
        lines.append(row(mode, words))
    return lines


def _kind(known: Reading) -> str:
    # a component without lines is a set of one-node components: without any lines, such a graph is a DAG
    lined = [f"`{c.name}`" for c in known.spec.components if c.lines]
    linked = [c.name for c in known.spec.components if c.role == "input" and not c.independent]
    words = "no component has lines: every node is a chain component of its own, and LWF = AMP = d-separation"
    if lined:
        words = f"the lines of {', '.join(lined)} make chain components, every other node is one of its own; "
        words += "without flags, so that LWF = AMP" if known.graph.flags == () else "the LWF property is used; with flags, AMP differs"
    return words + (f"; nodes of {', '.join(linked)} are given, and treated as linked" if linked else "")


def _factors(known: Reading, component: str | None, latex: bool) -> list[str]:
    """The factors of the joint distribution, those of like layers once."""
    lines = []
    for found in factors(known.spec, known.graph, component):
        texts = [formula.latex if latex else formula.text for formula in found.formulas]
        lines += [row(found.part if k == 0 else "", text) for k, text in enumerate(texts)]
        lines += [row("", f"the moral graph {found.moral}")] if found.moral else []
        if found.alike:
            alike = found.alike if len(found.alike) < 7 else (*found.alike[:3], "...", found.alike[-1])
            lines.append(row("", f"{', '.join(alike)}: as {found.part}, each with the layer below it"))
    return ["factors", *lines] if lines else []


def _part(known: Reading, part: Part, steps: bool, shown: dict[str, str], latex: bool) -> list[str]:
    """A part of a spec that cannot be compiled: what the graph and the derivations say of it."""
    component = known.spec.component(part.component)
    law = known.derivations.of(component)
    lines = [f"{part.name}  {'component' if part.role == 'hidden' else part.role}, {_shape(part.extents)}, family {component.family}"]
    lines.append(row("density", law.density))
    if part.role == "input":
        return lines
    lines += [row("parent" if k == 0 else "", _edge(edge)) for k, edge in enumerate(part.edges)]
    lines += [row("stands for" if k == 0 else "", text) for k, text in enumerate(stands_for(known.graph, part.name))]
    if part.lines is not None:
        lines.append(row("lines", lines_text(part.lines)))
    lines += expectation_lines(law)
    if part.lines is not None:
        lines.append(row("", WITHOUT_LINES))
    if steps:
        lines += _steps(law, shown.get(component.family), latex)
        shown.setdefault(component.family, part.name)
    return lines


def _edge(edge: PartEdge) -> str:
    when = f" at t-{edge.lag}" if edge.lag else ""
    where = "" if edge.structure.predicate is None else f" where {predicate_text(edge.structure.predicate)}"
    return f"{edge.source}{when}: {edge.structure.kind}{where}, {edge.structure.pairs} pairs"


def lines_text(lines: PartLines) -> str:
    """Where lines run, and how values are to be inferred."""
    written = lines.written
    match written.kind:
        case "list":
            where = f"{len(written.pairs)} listed pair{'s' * (len(written.pairs) != 1)}"
        case _ if lines.lag:
            where = "a chain along time: each node with its copy at the next step"
        case kind:
            where = f"{kind}: each pair with {predicate_text(lines.joined)} once, the smaller index first"
    inference = "exact" if written.inference == "exact" else f"mean field, {written.steps} steps, damping {written.damping:g}"
    return where + ", with potentials at its ends" * written.ends + f"; inference {inference}"


def row(name: str, value: str) -> str:
    """One line: what it is, and its value."""
    return f"  {name:<14}{value}".rstrip()


def _input(model: Model, item: Input) -> list[str]:
    law = model.program.law(item.law)
    given = "given as expectations (soft clamping, section 2.3)" if item.soft else "given"
    return [f"{item.name}  input, {_shape(item.nodes)}", row("density", law.density), row("values", given)]


def _shape(nodes: tuple[int, ...]) -> str:
    count = " x ".join(str(extent) for extent in nodes)
    return f"{count} node{'s' * (nodes != (1,))}"


def _layer(model: Model, layer: Layer, own: Sequence[Parameter]) -> list[str]:
    law = model.program.law(layer.law)
    role = "output" if layer.output else "component"
    lines = [f"{layer.name}  {role}, {_shape(layer.nodes)}, family {layer.law}"]
    lines += [row("density", law.density)]
    lines += [row("energy", f"that of {layer.onto}, and what its path adds")] if layer.onto is not None else []
    lines += [row("parent" if k == 0 else "", _contribution(c, model.graph.part(layer.name))) for k, c in enumerate(layer.contributions)]
    lines += [row("stands for" if k == 0 else "", text) for k, text in enumerate(stands_for(model.graph, layer.name))]
    normalisation = normalisation_lines(model.spec.component(layer.component), layer, model.program.stages)
    lines += [row("energy" if k == 0 else "", text) for k, text in enumerate(normalisation)]
    lines += [row("prior" if k == 0 else "", text) for k, text in enumerate(prior_lines(layer, model.spec.train))]
    part = model.graph.part(layer.name)
    if part.lines is not None:
        lines.append(row("lines", lines_text(part.lines)))
    lines += expectation_lines(law)
    if "." in layer.component or any(c.opening for c in layer.contributions):
        lines.append(row("update", update_text(layer, law, model.spec.steps is not None)))
    if layer.lines is not None:
        lines += [row("", WITHOUT_LINES), *(row(name, value) for name, value in inference_rows(layer, layer.lines))]
    else:
        lines += list(_inference(model, layer, law))
    if layer.output and law.log_likelihood_text and layer.lines is None:
        lines.append(row("likelihood", f"log p(x | e) = {law.log_likelihood_text}"))
    lines += _weights(own)
    return lines


def _steps(law: Derivation, elsewhere: str | None, latex: bool) -> list[str]:
    """The route from density to expectation, or the layer where it has been printed already."""
    if elsewhere is not None:
        return [row("steps", f"as for {elsewhere}")]
    return [row("steps", "from density to expectation"), *step_lines(law, latex)]


def _contribution(c: Contribution, part: Part) -> str:
    p = c.product
    causal = any(edge.edge.name == c.name and edge.structure.causal for edge in part.edges)
    when = f" at t-{c.lag}" if c.lag else ""
    where = f", where {predicate_text(p.mask)}" if p.mask is not None else ""
    kinds = {
        "dense": f"dense, {p.inputs} -> {p.outputs}",
        "embedding": f"dense from labels: a table of {p.inputs} rows",
        "table": f"dense from labels: a table of {p.inputs} rows",
        "elementwise": f"one weight per node, {p.outputs}",
        "identity": "fixed weight " + (f"{p.fixed:g}" if p.fixed is not None else "1"),
        "tied": f"{p.inputs} -> {p.outputs}, {p.classes} weights that are shared",
        "convolution": "convolution, " + _windows(p),
        "local": "windows with weights of their own, " + _windows(p),
        "grouped": f"{p.geometry.groups if p.geometry else 1} groups, {p.inputs} -> {p.outputs}",
        "average": f"mean over windows, {_windows(p)}; fixed weight 1/{math.prod(p.geometry.kernel) if p.geometry else 1}",
        "masked": f"{'causal' if causal else 'dense'}, {p.inputs} -> {p.outputs}{where}",
    }
    words = [f"{c.source}{when}: {kinds[p.kind]}"]
    if p.kind in ("dense", "masked") and p.fixed is not None:
        words.append(f"fixed weight {p.fixed:g}")
    if c.opening is not None:
        words.append(f"gate {c.opening.source}: its expectation times that of what it opens (eq. 12-13, first order)")
    if c.dropout is not None:
        law = f"Bernoulli({c.dropout.keep_prob:g})" if c.dropout.kind == "bernoulli" else f"N(1, {c.dropout.std:g}^2)"
        words.append(f"gate D ~ {law} (eq. 12-13): drawn in training; in evaluation its mean, under moments its variance too")
    return "; ".join(words)


def _windows(p: Product) -> str:
    """Maps, kernel, and what differs from the usual."""
    g = p.geometry
    if g is None:
        return ""
    words = [f"{g.parent_maps} -> {g.child_maps} maps, kernel {' x '.join(str(n) for n in g.kernel)}"]
    margins = [f"{w.before}" if w.padding is not None else f"{w.before} before and {w.after} after" for w in g.windows]
    each = (("stride", [str(w.stride) for w in g.windows], "1"), ("dilation", [str(w.dilation) for w in g.windows], "1"))
    for name, values, usual in (*each, ("padding", margins, "0")):
        if set(values) != {usual}:
            words.append(f"{name} {values[0] if len(set(values)) == 1 else ' x '.join(values)}")
    return ", ".join([*words, *([f"{g.groups} groups"] if g.groups > 1 and p.kind != "average" else [])])


def expectation_lines(law: Derivation) -> list[str]:
    """Expectation, what is computed for it, and the check."""
    feature = "X" if law.statistic is None else "T(X)"
    name = "E[1[X = k] | e]" if isinstance(law.law, Indicators) else f"E[{feature} | e]"
    lines = [row("expectation", f"{name} = {law.expectation_text}")]
    if law.approximation is not None:
        near = law.approximation
        lines.append(row("computed", f"{near.name}: {near.text}"))
        exact = "equal to the exact form" if near.max_error == 0 else f"off by at most {near.max_error:.6g}, at {near.where}"
        lines.append(row("", exact))
    if law.numeric is not None and not (math.isinf(law.numeric.low) and math.isinf(law.numeric.high)):
        lines.append(row("", f"by {law.numeric.rule}; energies beyond are taken as these"))
    check = law.check
    lines.append(row("checked", f"against {check.against} at {check.points} points: relative difference {check.max_difference:.1e}"))
    return lines


def _inference(model: Model, layer: Layer, law: Derivation) -> Iterable[str]:
    if law.deterministic:
        yield row("sampling", "never: the node is a function of its energy")
        return
    gradient = "the draw carries the gradient (reparameterisation)" if not law.discrete else "a draw passes no gradient of its own"
    yield row("sampling", law.sampling_text)
    yield row("", gradient)


def step_lines(law: Derivation, latex: bool = False) -> list[str]:
    """Every step from density to expectation, with equation numbers of the paper."""
    lines = []
    for number, step in enumerate(law.steps, 1):
        source = f"  [{step.source}]" if step.source else ""
        lines.append(f"    {number:>2}. {step.reason}{source}")
        lines.append(f"        {step.latex if latex else step.text}")
    return lines


def _kind_of(parameter: Parameter) -> str:
    if parameter.same_as is not None:
        return f" (that of {parameter.same_as})"
    return "" if parameter.learned else " (buffer)"


def _owned(model: Model) -> dict[str, list[Parameter]]:
    """The parameters and buffers of each layer."""
    names = {layer.name for layer in model.program.layers()}
    found: dict[str, list[Parameter]] = {}
    for parameter in parameters(model.program):
        found.setdefault(_owner(parameter, names) or "", []).append(parameter)
    return found


def _weights(own: Sequence[Parameter]) -> list[str]:
    return [row("state dict" if k == 0 else "", f"{p.key} {list(p.shape)}{_kind_of(p)}") for k, p in enumerate(own)]


def _owner(parameter: Parameter, names: Container[str]) -> str | None:
    """The layer with the longest name that the key starts with: a path belongs to the copy that it starts at."""
    words = parameter.key.split(".")
    beginnings = (".".join(words[:end]) for end in range(len(words), 0, -1))
    return next((name for name in beginnings if name in names), None)
