"""``train.data``: which fields belong to which data, which of them go together, and the record of them."""

from __future__ import annotations

from cgc.source.text import Span
from cgc.source.tree import Node
from cgc.spec import surface
from cgc.spec.model import Data
from cgc.spec.validate import Reader, whole

IMAGES = ("digits", "mnist", "cifar10")
GENERATED = ("adding", "tags")
# data with a validation part of their own
SPLIT = ("digits", *GENERATED)

_BELONGS = {
    "validation": (*IMAGES, "npz"),
    **dict.fromkeys(("as", "threshold", "permute_seed", "standardize", "augment", "flip_prob", "predict", "relabel"), IMAGES),
    "sequences": GENERATED,
    **dict.fromkeys(("tokens", "tags", "min_steps", "max_steps"), ("tags",)),
    "seed": (*IMAGES, *GENERATED),
}
_SEQUENCES = {"adding": 10_000, "tags": 2_000}
"""How many training sequences are generated where the spec does not say."""


def read_data(reader: Reader, node: Node, data: surface.Data, span: Span) -> Data:
    """The record of ``data``, written at ``node``, with Diagnostics (CG344, CG345) for fields that do not go together."""
    for name in node.entries or {}:
        known = _BELONGS.get(name, (data.name,))
        if data.name not in known and node.find((name,))[1].plain() is not None:
            message = f"`{name}` has no meaning for the data `{data.name}`"
            reader.error("CG344", message, node.find((name,))[0], why=f"it is for {', '.join(known)}", help="remove it")
    if data.name == "tags":
        _check_tags(reader, node, data, span)
    elif data.name in IMAGES:
        _check_images(reader, node, data)
    augment = data.augment or surface.Augment()
    return Data(
        name=data.name,
        layout=data.layout,
        validation=None if data.validation is None else float(data.validation),
        threshold=None if data.threshold is None else float(data.threshold),
        permute_seed=data.permute_seed,
        standardize=data.standardize,
        shift_pixels=augment.shift_pixels,
        mirror=augment.mirror,
        flip_prob=None if data.flip_prob is None else float(data.flip_prob),
        predict=data.predict,
        relabel=data.relabel,
        sequences=data.sequences or _SEQUENCES.get(data.name, 0),
        tokens=data.tokens or 0,
        tags=data.tags or 0,
        min_steps=data.min_steps or data.max_steps or 0,
        max_steps=data.max_steps or 0,
        seed=data.seed,
        span=span,
    )


def _check_tags(reader: Reader, node: Node, data: surface.Data, span: Span) -> None:
    for name in ("tokens", "tags", "max_steps"):
        if getattr(data, name) is None:
            reader.error("CG302", f"the data `tags` need `{name}`", span, help=f"add `{name}: …`")
    if data.min_steps is not None and data.max_steps is not None and data.min_steps > data.max_steps:
        key, value = node.find(("min_steps",))
        place = whole(value, key)
        reader.error("CG306", f"`min_steps` is {data.min_steps}, above `max_steps`, {data.max_steps}", place, help="exchange them")


def _check_images(reader: Reader, node: Node, data: surface.Data) -> None:
    def wrong(name: str, message: str, help: str) -> None:
        reader.error("CG345", message, node.find((name,))[0], help=help)

    if data.flip_prob is not None and data.threshold is None:
        wrong("flip_prob", "only pixels of two values can be flipped", "add `threshold: 0.5`")
    if data.standardize and data.threshold is not None:
        wrong("standardize", "pixels that a threshold has made two-valued are not standardised", "remove one of the two")
    if data.augment is not None and (data.layout != "image" or data.permute_seed is not None):
        help = "remove `permute_seed`" if data.layout == "image" else "write `as: image`"
        wrong("augment", "`augment` moves images, whose pixels are in their places", help)
    if data.predict == "image":
        for name, given in (("augment", data.augment), ("relabel", data.relabel)):
            if given is not None:
                wrong(name, f"`{name}` has no meaning beside `predict: image`", "remove one of the two")
