"""The whole program as a module: fixed passages, the classes of laws and layers, and the model that joins them."""

from __future__ import annotations

from cgc.kernels.gates import gate_name
from cgc.program.ir import Program
from cgc.spec.model import Inference
from cgc.targets.torch.answers import answers
from cgc.targets.torch.blocks import INFERENCE, PARTS, Blocks
from cgc.targets.torch.classes import made, write_classes
from cgc.targets.torch.code import Class, Function, Module, wrapped
from cgc.targets.torch.describe import network_doc
from cgc.targets.torch.passes import passes
from cgc.targets.torch.scalar import number_text
from cgc.targets.torch.told import plain


def network(program: Program, factorisation: str, doc: tuple[str, ...]) -> Module:
    """The module of ``program``. ``factorisation`` is the joint distribution as text, ``doc`` the file's first lines."""
    blocks = Blocks(program)
    write_classes(blocks)
    methods = (_init(blocks), *passes(blocks), *answers(blocks))
    if blocks.moments or blocks.lines:
        methods = tuple(method.fitted() for method in methods)
    model = Class(blocks.name, "nn.Module", (*wrapped(network_doc(program, factorisation)), *_approximate(program)), (), methods)
    # last, because the methods tell which passages they need
    parts, inference = blocks.parts(PARTS), blocks.parts(INFERENCE)
    known = tuple((law.name, gate_name(law.gate) if law.gate else blocks.law_classes[law.name]) for law in blocks.kernels.laws)
    return Module(
        doc,
        parts,
        blocks.settings(),
        inference,
        tuple(blocks.classes),
        model,
        moments=blocks.moments,
        merged=blocks.merged,
        mapped=all(la.name in blocks.maps for la in blocks.program.layers() if la.over_batch and la.shared is not None),
        kernels=known,
        kernels_of_nodes=any(law.plain for law in blocks.kernels.laws),
        kernels_of_chains=bool(blocks.kernels.chains),
        cells=tuple(blocks.cells),
    )


def _approximate(program: Program) -> tuple[str, ...]:
    """A line for outputs whose probabilities are approximate."""
    names = [layer.name for layer in program.layers() if layer.lines is not None and layer.lines.method == "mean_field"]
    return (f"Approximate, by mean field: every answer about {', '.join(names)}; the loss is -sum log q.",) if names else ()


def _init(blocks: Blocks) -> Function:
    body = [
        "super().__init__()",
        *(plain(line) for line in made(blocks, blocks.scopes.found[""], blocks.program.stages)),
        *_same_weights(blocks),
    ]
    quiet = "gates=False" if blocks.gated() else ""
    body.append(f"self.how = [Inference({quiet}), Inference()]  # in evaluation, in training")
    train, evaluation = _chosen(blocks.program.train, training=True), _chosen(blocks.program.eval, training=False)
    for arguments, mode in ((train, "True"), (evaluation, "False")):
        if arguments != '"feed_forward"':
            body.append(f"self.inference({arguments}, training={mode})")
    return Function("__init__(self) -> None", tuple(body)).fitted()


def _same_weights(blocks: Blocks) -> list[str]:
    """Lines that let edges have the weight of another."""
    found: dict[str, None] = {}
    for layer in blocks.program.layers():
        for c in layer.contributions:
            if not c.own:
                block = f".{c.block[0]}" if c.block else ""
                found[f"{_path(f'{layer.biased}{block}.{c.name}')}.weight = {_path(c.weight)}.weight  # one weight"] = None
    return list(found)


def _path(name: str) -> str:
    return "self" + "".join(f"[{word}]" if word.isdecimal() else f".{word}" for word in name.split("."))


def _chosen(inference: Inference, training: bool) -> str:
    """The arguments of ``Model.inference``."""
    match inference.method:
        case "feed_forward" | "moments":
            return f'"{inference.method}"'
        case "sample" if training:
            return f'"sample", gradient="{inference.gradient}"'
        case "sample":
            return f'"sample", samples={inference.samples}'
        case "pcff":
            rate = number_text(inference.sample_rate)
            if inference.sample_rates:
                rate = "{" + ", ".join(f'"{name}": {number_text(value)}' for name, value in inference.sample_rates) + "}"
            return f'"pcff", {rate}, "{inference.gradient}"'
