"""Whatever the spec: Diagnostics, or a model that imports, agrees with the interpreter, trains, streams, and is clean Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from packages import Package, arrays, emit
from random_specs import specs

from cgc.program.interpret import interpret, interpret_moments
from cgc.program.ir import Input
from cgc.program.parameters import parameters
from cgc.source.diagnostics import SpecError

BATCH = 5


@pytest.mark.parametrize("examples", [pytest.param(25, id="some"), pytest.param(400, id="many", marks=pytest.mark.slow)])
def test_every_spec_gives_diagnostics_or_a_sound_model(tmp_path: Path, examples: int) -> None:
    compiled: list[bool] = []

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(specs())
    def sound(text: str) -> None:
        note(text)
        try:
            package = emit(tmp_path, text)
        except SpecError as error:
            assert error.diagnostics and all(d.code.startswith("CG") and d.message and d.span is not None for d in error.diagnostics)
            compiled.append(False)
            return
        compiled.append(True)
        names_and_shapes(package)
        agrees_with_the_interpreter(package)
        if package.compiled.program.eval.method == "moments":
            moments_agree_with_the_interpreter(package)
        trains(package)
        answers(package)
        if package.compiled.program.steps is not None:
            streams(package)

    sound()
    assert sum(compiled) > 0.6 * len(compiled), "most of these specs mean something"
    clean = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F", "--output-format", "concise", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert clean.returncode == 0, clean.stdout


def draw_input(item: Input, generator: np.random.Generator, package: Package, *leading: int) -> torch.Tensor:
    """Valid values for an input."""
    nodes = () if item.labels is not None and item.size == 1 else item.nodes
    shape = (*leading, *nodes)
    if item.labels is not None:
        return torch.from_numpy(generator.integers(item.labels, size=shape))
    law = package.compiled.program.law(item.law).law
    support = getattr(law, "support", None)
    if support is None:
        return torch.from_numpy(generator.normal(size=shape))
    states = np.array([float(state) for state in support])
    if item.soft:
        return torch.from_numpy(generator.uniform(states.min(), states.max(), size=shape))
    return torch.from_numpy(generator.choice(states, size=shape))


def inputs_of(package: Package, seed: int = 0, steps: int = 4) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(seed)
    program = package.compiled.program
    leading = (BATCH,) if program.steps is None else (BATCH, steps)
    return {item.name: draw_input(item, generator, package, *leading) for item in program.inputs}


def parts(package: Package, value: Any) -> dict[str, torch.Tensor]:
    """What the model returned, by output."""
    names = package.compiled.program.outputs
    return {names[0]: value} if len(names) == 1 else {name: getattr(value, name) for name in names}


def names_and_shapes(package: Package) -> None:
    wanted = {p.key: p.shape for p in parameters(package.compiled.program)}
    model = package.module.Model()
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == wanted
    learned = {p.key for p in parameters(package.compiled.program) if p.learned}
    assert {key for key, _ in model.named_parameters()} == learned
    manifest = json.loads((package.folder / "manifest.json").read_text(encoding="utf-8"))
    assert {key: tuple(shape) for key, shape in manifest["state_dict"].items()} == wanted


def agrees_with_the_interpreter(package: Package) -> None:
    program = package.compiled.program
    given = inputs_of(package)
    numbers = {name: value.numpy() for name, value in given.items()}
    every_length = [None] if program.steps is None else [None, torch.tensor([4, 1, 3, 4, 2])]
    for lengths in every_length:
        for training in (False, True):
            model = package.model().train(training)
            quiet = {"gates": False} if "gates" in package.module.Inference._fields else {}
            model.how = [package.module.Inference(**quiet)] * 2
            before = arrays(model)
            more = {} if lengths is None else {"lengths": lengths}
            got = parts(package, model(**given, **more))
            wanted = interpret(program, before, numbers, training, None if lengths is None else lengths.numpy())
            for name, value in got.items():
                expected = torch.from_numpy(wanted.layers[name].energies)
                if lengths is not None and not program.layer(name).last:
                    valid = torch.arange(4) < lengths[:, None]
                    value, expected = value[valid], expected[valid]
                torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
            for key, value in arrays(model).items():
                np.testing.assert_allclose(value, wanted.buffers.get(key, before[key]), rtol=1e-10, atol=1e-10)


def moments_agree_with_the_interpreter(package: Package) -> None:
    """Mean and variance of the outputs' energies, to 1e-10; their expectations, where these follow from one energy."""
    program, given = package.compiled.program, inputs_of(package)
    numbers = {name: value.numpy() for name, value in given.items()}
    for lengths in [None] if program.steps is None else [None, torch.tensor([4, 1, 3, 4, 2])]:
        model, more = package.model(), {} if lengths is None else {"lengths": lengths}
        wanted = interpret_moments(program, arrays(model), numbers, None if lengths is None else lengths.numpy())
        energies = model.energies(**given, **more)
        got = parts(package, energies if program.steps is None else energies[0])
        shown, expected = parts(package, model(**given, **more)), parts(package, model.expectation(**given, **more))
        for name, (m, v) in got.items():
            layer, valid = program.layer(name), slice(None)
            if lengths is not None and not layer.last:
                valid = torch.arange(4) < lengths[:, None]
            torch.testing.assert_close(shown[name], m, rtol=0, atol=0)
            pairs = [(m, wanted[name].mean.energies), (v, wanted[name].variance.energies)]
            if layer.labels is None:
                pairs.append((expected[name], wanted[name].mean.features.reshape(expected[name].shape)))
            for value, oracle in pairs:
                torch.testing.assert_close(value[valid], torch.from_numpy(oracle)[valid], rtol=1e-10, atol=1e-10)


def trains(package: Package) -> None:
    torch.manual_seed(1)
    model = package.module.Model().double().train()
    given = inputs_of(package, seed=1)
    targets = parts(package, package.model().sample(**given))
    loss = model.loss(**given, **{name: value[0] for name, value in targets.items()})
    assert loss.shape == () and torch.isfinite(loss)
    if not list(model.parameters()):
        return
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part"
        assert torch.isfinite(parameter.grad).all(), name


def answers(package: Package) -> None:
    """Shapes of what a model is asked for, in evaluation."""
    model = package.model()
    given = inputs_of(package, seed=2)
    energies = parts(package, model(**given))
    drawn = parts(package, model.sample(**given, n=3))
    decoded = parts(package, model.decode(**given))
    expected = parts(package, model.expectation(**given))
    for name, e in energies.items():
        layer = package.compiled.program.layer(name)
        states = e.shape
        if layer.labels is not None:
            axis = len(e.shape) - 1 - (0 if layer.size == 1 else len(layer.nodes))
            states = e.shape[:axis] + e.shape[axis + 1 :]
            torch.testing.assert_close(expected[name].sum(axis), torch.ones(states, dtype=e.dtype))
        assert expected[name].shape == e.shape
        assert drawn[name].shape == (3, *states)
        assert decoded[name].shape == states
    log_p = model.log_prob(**given, **decoded)
    assert log_p.shape == (BATCH,) and torch.isfinite(log_p).all()


def streams(package: Package) -> None:
    """A sequence in two pieces equals the whole."""
    model = package.model()
    given = inputs_of(package, seed=3)
    whole = parts(package, model(**given))
    first, state = model(**{name: value[:, :1] for name, value in given.items()}, return_state=True)
    second = model(**{name: value[:, 1:] for name, value in given.items()}, state=state)
    for name, value in whole.items():
        later = parts(package, second)[name]
        if not package.compiled.program.layer(name).last:
            later = torch.cat([parts(package, first)[name], later], 1)
        torch.testing.assert_close(later, value, rtol=1e-10, atol=1e-10)
