"""Inference and training: read, checked, built."""

from __future__ import annotations

from collections.abc import Mapping

from cgc.source.tree import Entry, Node
from cgc.spec import surface
from cgc.spec.components import Draft
from cgc.spec.data import SPLIT, read_data
from cgc.spec.model import Inference, Optimizer, Schedule, Train
from cgc.spec.priors import build_prior
from cgc.spec.reuse import read_reuse
from cgc.spec.validate import Reader, suggestion


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


def read_train(reader: Reader, entry: Entry | None, drafts: Mapping[str, Draft]) -> Train | None:
    """How to train, if the spec says so. Whether the data fit the graph, ``cgc.emit.training`` checks."""
    if entry is None or entry.node.plain() is None:
        return None
    node = entry.node
    read = reader.read(surface.Train, node, ("train",), "`train`", entry.key)
    if read is None:
        return None
    waits = [name for name, wanted in (("schedule", read.schedule), ("early_stop", read.early_stop)) if _waits(wanted)]
    if waits and read.data.validation is None and read.data.name not in SPLIT:
        help = "add `validation: 0.1` to `data`"
        message = f"`{waits[0]}` watches a validation loss, and no data are kept for it"
        reader.error("CG340", message, node.find((waits[0],))[0], help=help)
    if (read.epochs is None) == (read.updates is None):
        if read.epochs is None:
            reader.error("CG302", "`train` needs `epochs`", entry.key, help="add `epochs: …`, or `updates: …`")
        else:
            message = "training ends after `epochs` or after `updates`, not after both"
            reader.error("CG345", message, node.find(("updates",))[0], help="remove one of the two")
    schedule = None
    match read.schedule:
        case surface.PlateauSchedule() as plateau:
            schedule = Schedule("plateau", float(plateau.factor), patience_epochs=plateau.patience_epochs)
        case surface.StepSchedule() as stepped:
            schedule = Schedule("steps", float(stepped.factor), at_epochs=stepped.at_epochs)
    momentum = float(read.optimizer.momentum) if isinstance(read.optimizer, surface.Sgd) else 0.0
    place, data = node.find(("data",))
    return Train(
        data=read_data(reader, data, read.data, place),
        optimizer=Optimizer(read.optimizer.kind, float(read.optimizer.learning_rate), momentum),
        epochs=read.epochs,
        batch_size=read.batch_size,
        updates=read.updates,
        seed=read.seed,
        schedule=schedule,
        early_stop_patience_epochs=read.early_stop.patience_epochs if read.early_stop else None,
        gradient_clip_norm=None if read.gradient_clip_norm is None else float(read.gradient_clip_norm),
        prior=build_prior(reader, read.prior, node),
        reuse=read_reuse(reader, node, read.reuse, drafts),
        span=entry.key,
    )


def _waits(section: object) -> bool:
    return isinstance(section, (surface.PlateauSchedule, surface.EarlyStop))
