"""Inference and training: read, checked against the components, built."""

from __future__ import annotations

from collections.abc import Mapping

from cgc.families.forms import FiniteExponential, Indicators
from cgc.source.diagnostics import Label
from cgc.source.tree import Entry, Node
from cgc.spec import surface
from cgc.spec.components import Draft
from cgc.spec.model import Data, Inference, Optimizer, Schedule, Train
from cgc.spec.validate import Reader, suggestion, whole

# pixels per side and labels of the data sets
_IMAGES = {"digits": (8, 10), "mnist": (28, 10)}


def read_inference(reader: Reader, document: Node, drafts: Mapping[str, Draft]) -> tuple[Inference, Inference]:
    """Inference in training and in evaluation."""
    place, node = document.find(("inference",))
    if node is document:
        return Inference(), Inference()
    read = reader.read(surface.Inference, node, ("inference",), "`inference`", place)
    if read is None:
        return Inference(), Inference()
    train, evaluation = read.train, read.eval
    train_place, train_node = node.find(("train",))
    rates = train.sample_rate or {}
    rate_place, rate_node = train_node.find(("sample_rate",))
    if train.method == "pcff" and not rates:
        method = train_node.find(("method",))[1]
        reader.error("CG339", "`pcff` needs a `sample_rate`", method.span, help="how often nodes are sampled, such as `sample_rate: 0.3`")
    if train.method != "pcff" and train.sample_rate is not None:
        help = "write `method: pcff`, or remove it"
        reader.error("CG339", f"`sample_rate` belongs to `pcff`, not to `{train.method}`", rate_place, help=help)
    if train.method == "feed_forward" and train.gradient is not None:
        message = "`gradient` is for sampled nodes, and `feed_forward` samples none"
        reader.error("CG339", message, train_node.find(("gradient",))[0], help="remove it")
    if evaluation.method != "sample" and evaluation.samples is not None:
        message = f"`samples` belongs to `sample`, not to `{evaluation.method}`"
        reader.error("CG339", message, node.find(("eval", "samples"))[0], help="write `method: sample`, or remove it")
    hidden = [name for name, draft in drafts.items() if draft.body is None or draft.body.role == "hidden"]
    for name in rates:
        if name and name not in hidden:
            known = name in drafts
            message = f"`{name}` is never sampled" if known else f"unknown component `{name}`"
            help = "hidden components: " + ", ".join(hidden) if known else suggestion(name, hidden, "hidden components")
            reader.error("CG307", message, rate_node.find((name,))[0], help=help)
    return (
        Inference(
            method=train.method,
            sample_rate=float(rates.get("", 0.0)),
            sample_rates=tuple((name, float(rate)) for name, rate in rates.items() if name),
            gradient=train.gradient or "block",
            span=train_place if train_node is not node else place,
        ),
        Inference(method=evaluation.method, samples=evaluation.samples or 32, span=place),
    )


def read_train(reader: Reader, entry: Entry | None, drafts: Mapping[str, Draft], steps: int | None) -> Train | None:
    """How to train, if the spec says so."""
    if entry is None or entry.node.plain() is None:
        return None
    node = entry.node
    read = reader.read(surface.Train, node, ("train",), "`train`", entry.key)
    if read is None:
        return None
    waits = [name for name, wanted in (("schedule", read.schedule), ("early_stop", read.early_stop)) if _waits(wanted)]
    if waits and read.data.validation is None:
        help = "add `validation: 0.1` to `data`"
        message = f"`{waits[0]}` watches a validation loss, and no data are kept for it"
        reader.error("CG340", message, node.find((waits[0],))[0], help=help)
    _check_data(reader, node, read.data, drafts, steps)
    schedule = None
    match read.schedule:
        case surface.PlateauSchedule() as plateau:
            schedule = Schedule("plateau", float(plateau.factor), patience_epochs=plateau.patience_epochs)
        case surface.StepSchedule() as stepped:
            schedule = Schedule("steps", float(stepped.factor), at_epochs=stepped.at_epochs)
    momentum = float(read.optimizer.momentum) if isinstance(read.optimizer, surface.Sgd) else 0.0
    data = read.data
    return Train(
        data=Data(
            data.name,
            data.layout,
            None if data.validation is None else float(data.validation),
            None if data.threshold is None else float(data.threshold),
            data.permute_seed,
            node.find(("data",))[0],
        ),
        optimizer=Optimizer(read.optimizer.kind, float(read.optimizer.learning_rate), momentum),
        epochs=read.epochs,
        batch_size=read.batch_size,
        seed=read.seed,
        schedule=schedule,
        early_stop_patience_epochs=read.early_stop.patience_epochs if read.early_stop else None,
        gradient_clip_norm=None if read.gradient_clip_norm is None else float(read.gradient_clip_norm),
        prior_precision=None if read.prior is None else float(read.prior.precision),
        span=entry.key,
    )


def _waits(section: object) -> bool:
    return isinstance(section, (surface.PlateauSchedule, surface.EarlyStop))


def _check_data(reader: Reader, node: Node, data: surface.Data, drafts: Mapping[str, Draft], steps: int | None) -> None:
    """Whether the examples fit the input and the labels the output; where the layout does not fit time, this alone is told."""
    place, written = node.find(("data",))
    place = whole(written, place)
    if not all(draft.sound for draft in drafts.values()):
        return
    inputs = [draft for draft in drafts.values() if draft.body and draft.body.role == "input"]
    outputs = [draft for draft in drafts.values() if draft.body and draft.body.role == "output"]
    if not inputs or not outputs:
        return
    for role, found in (("input", inputs), ("output", outputs)):
        if len(found) > 1:
            names = " and ".join(f"`{draft.name}`" for draft in found)
            reader.error("CG341", f"{data.name} has one {role}, the spec has {names}", place, help="train it with a script of your own")
            return
    side, classes = _IMAGES[data.name]
    shape, length = {
        "vector": ((side * side,), None),
        "image": ((1, side, side), None),
        "row_sequence": ((side,), side),
        "pixel_sequence": ((1,), side * side),
    }[data.layout]
    what = f"{data.name} as `{data.layout}`"
    here = (Label(place, "these data"),)
    if steps != length:
        wanted = f"needs {length} time steps" if length else "has no time steps"
        help = f"write `time: {{steps: {length}}}`" if length else "use `as: row_sequence` or `pixel_sequence`"
        reader.error("CG341", f"{what} {wanted}", place, help=help)
        return
    _check_input(reader, inputs[0], data, what, shape, here)
    _check_output(reader, outputs[0], data, what, classes, length is not None, here)


def _check_input(reader: Reader, draft: Draft, data: surface.Data, what: str, shape: tuple[int, ...], here: tuple[Label, ...]) -> None:
    body, family = draft.body, draft.family
    assert body is not None and family is not None
    if body.nodes != shape:
        wanted = str(shape[0]) if len(shape) == 1 else f"[{', '.join(map(str, shape))}]"
        found = " x ".join(map(str, body.nodes))
        message = f"{what} needs an input of {' x '.join(map(str, shape))} nodes, `{draft.name}` has {found}"
        reader.error("CG341", message, draft.at("nodes"), others=here, help=f"write `nodes: {wanted}`")
    elif isinstance(family.law, Indicators):
        reader.error("CG341", f"{what} gives numbers, `{draft.name}` takes labels", draft.at("family"), others=here, help="use `binary`")
    elif isinstance(family.law, FiniteExponential) and body.clamp == "hard" and data.threshold is None:
        why = f"the pixels of {data.name} lie anywhere between black and white"
        help = "write `clamp: soft`, or `threshold: 0.5` in `data`"
        reader.error("CG341", f"`{draft.name}` takes its states only", draft.place, others=here, why=why, help=help)


def _check_output(reader: Reader, draft: Draft, data: surface.Data, what: str, classes: int, timed: bool, here: tuple[Label, ...]) -> None:
    body, family = draft.body, draft.family
    assert body is not None and family is not None
    law = family.law
    if not isinstance(law, Indicators) or law.labels < classes or body.nodes != (1,):
        help = f"one node with `{{kind: categorical, labels: {classes}}}`"
        reader.error("CG341", f"`{draft.name}` cannot hold the {classes} labels of {data.name}", draft.at("family"), others=here, help=help)
    elif timed and body.at == "all":
        reader.error("CG341", f"{what} has one label per sequence", draft.place, others=here, help=f"add `at: last` to `{draft.name}`")
