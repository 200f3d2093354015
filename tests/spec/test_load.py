"""From YAML to ``Spec``."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from cgc.families.forms import FiniteExponential, Indicators, Noise
from cgc.source.diagnostics import SpecError
from cgc.source.text import Span
from cgc.spec.load import load
from cgc.spec.model import Copies, DropoutGate, Init, Normalisation, Optimizer, Prior, Schedule, Spec
from cgc.spec.names import MODULE_ATTRIBUTES

SPECS = Path(__file__).parents[2] / "specs"

BASE = """cgc: 1
name: small
params: {hidden: {default: 4, min: 1, max: 64}, wide: 2*hidden}
families:
  spin: {kind: binary, values: [-1, 1]}
  rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}
  node: spin
time: {steps: 5}
components:
  x: {role: input, nodes: wide, family: spin}
  h: {nodes: hidden, family: node, parents: {x: dense}}
  y: {role: output, nodes: [1], family: {kind: categorical, labels: 3}, parents: {h: dense}}
independence:
  - h[i,t] ⟂ x[j,t] | parents  where j != i
"""


def meaning(value: Any) -> Any:
    """A record without places and without where it came from."""
    if isinstance(value, Span):
        return None
    if is_dataclass(value):
        return {f.name: meaning(getattr(value, f.name)) for f in fields(value) if f.name not in ("files", "resolved", "fields")}
    return tuple(meaning(item) for item in value) if isinstance(value, tuple) else value


class Folder:
    """A folder of specs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def spec(self, text: str = BASE, name: str = "small.yaml", **options: Any) -> Spec:
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_text(text, encoding="utf-8")
        return load(self.path / name, **options)

    def codes(self, text: str = BASE, name: str = "small.yaml", **options: Any) -> list[str]:
        with pytest.raises(SpecError) as caught:
            self.spec(text, name, **options)
        return [diagnostic.code for diagnostic in caught.value.diagnostics]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_spec_says_what_is_written(folder: Folder) -> None:
    spec = folder.spec()
    assert (spec.name, spec.steps, spec.files, spec.train) == ("small", 5, ("small.yaml",), None)
    assert spec.params == (("hidden", 4), ("wide", 8))
    assert [family.name for family in spec.families] == ["spin", "rect", "node", "y"]
    assert spec.family("node").law == spec.family("spin").law
    assert isinstance(spec.family("spin").law, FiniteExponential) and isinstance(spec.family("rect").law, Noise)
    assert spec.family("y").law == Indicators(3)
    x, h, y = spec.components
    assert (x.role, x.nodes, h.nodes, y.nodes, h.family, y.family) == ("input", (8,), (4,), (1,), "node", "y")
    assert [(edge.parent, edge.name, edge.kind, edge.lag, edge.gate) for edge in h.parents] == [("x", "x", "dense", 0, None)]
    assert spec.independence[0].text == "h[i,t] ⟂ x[j,t] | parents  where j != i"
    assert (spec.independence[0].span.line, spec.independence[0].span.column) == (14, 5)
    assert str(spec.family("rect").place("std")).endswith("small.yaml:6:41")


def test_everything_an_edge_and_a_component_can_say(folder: Folder) -> None:
    edges = (
        "{x: [{kind: dense, name: a, gate: {kind: bernoulli, keep_prob: 0.5, share: time}}, "
        "{kind: dense, name: b, lag: 1, init: {kind: uniform, low: -1, high: 1}}, {kind: dense, name: c, lag: 2, weight: 1/4}], "
        "h: {kind: elementwise, lag: 1, gate: {kind: gaussian, std: 0.5}, init: {kind: constant, value: 1}}}"
    )
    text = BASE.replace("{x: dense}", edges).replace("nodes: hidden,", "nodes: hidden, bias: 0.5, normalize: {kind: batch, over: energy},")
    h = folder.spec(text).component("h")
    assert (h.bias, h.normalize) == (0.5, Normalisation("batch", "energy"))
    assert [edge.name for edge in h.parents] == ["a", "b", "c", "h"]
    a, b, c, own = h.parents
    assert a.gate == DropoutGate("bernoulli", keep_prob=0.5, share="time")
    assert (b.lag, b.init, c.weight) == (1, Init("uniform", low=-1, high=1), 0.25)
    assert (own.gate, own.init) == (DropoutGate("gaussian", std=0.5), Init("constant", low=1.0))


@pytest.mark.parametrize("gate", ["{kind: bernoulli, keep_prob: 1}", "{kind: gaussian, std: 0}"])
def test_gates_that_do_nothing_are_removed(folder: Folder, gate: str) -> None:
    assert folder.spec(BASE.replace("{x: dense}", f"{{x: {{kind: dense, gate: {gate}}}}}")).component("h").parents[0].gate is None


def test_stacks(folder: Folder) -> None:
    h = folder.spec(BASE.replace("nodes: hidden,", "nodes: hidden, stack: 3,")).component("h")
    assert h.copies == (Copies("h", 3, "x", "h"),)
    one = folder.spec(BASE.replace("nodes: hidden,", "nodes: hidden, stack: {times: 1, input: x},")).component("h")
    assert one.copies == (Copies("h", 1, "x", "h"),)


def test_inference_and_training(folder: Folder) -> None:
    text = BASE + (
        "inference: {train: {method: pcff, sample_rate: {h: 0.4}, gradient: straight_through}, eval: {method: sample, samples: 7}}\n"
        "train: {data: {name: mnist, as: row_sequence, validation: 0.2}, optimizer: {kind: sgd, learning_rate: 0.1, momentum: 0.9},\n"
        "  schedule: {kind: steps, factor: 0.1, at_epochs: [2, 4]}, early_stop: {patience_epochs: 3}, epochs: 5, batch_size: 8,\n"
        "  prior: {kind: gaussian, precision: 1e-4}, gradient_clip_norm: 1}\n"
    )
    spec = folder.spec(text)
    assert spec.train_inference.sample_rates == (("h", 0.4),) and spec.train_inference.gradient == "straight_through"
    assert (spec.eval_inference.method, spec.eval_inference.samples) == ("sample", 7)
    assert spec.train is not None
    assert spec.train.optimizer == Optimizer("sgd", 0.1, 0.9)
    assert spec.train.schedule == Schedule("steps", 0.1, at_epochs=(2, 4))
    assert (spec.train.prior, spec.train.early_stop_patience_epochs, spec.train.data.layout) == (Prior("gaussian", 1e-4), 3, "row_sequence")


def test_params(folder: Folder) -> None:
    assert folder.spec(params={"hidden": 16}).params == (("hidden", 16), ("wide", 32))
    assert folder.spec(params={"hidden": "16", "wide": "hidden + 1"}).params == (("hidden", 16), ("wide", 17))
    assert folder.codes(params={"hidden": 65}) == ["CG313"]
    assert folder.codes(params={"hiden": 8}) == ["CG312"]
    assert folder.codes(params={"hidden": "__import__('os')"}) == ["CG201"]


def test_overrides(folder: Folder) -> None:
    assert folder.spec(overrides=[("families.node", "rect")]).family("node").law == folder.spec().family("rect").law
    assert folder.spec(overrides=[("independence", "[]")]).independence == ()
    assert folder.spec(overrides=[("time", "null"), ("independence", "[]")]).steps is None
    assert folder.spec(overrides=[("components.h.parents.x.lag", "1")]).component("h").parents[0].lag == 1
    assert folder.spec(overrides=[("components.h.parents.x", "{kind: dense, weight: 1e-3}")]).component("h").parents[0].weight == 1e-3
    assert folder.spec(overrides=[("params.hidden", "7")]).params == (("hidden", 7), ("wide", 14))
    assert folder.codes(overrides=[("extends", "a.yaml")]) == ["CG322"]
    assert folder.codes(overrides=[("a..b", "1")]) == ["CG322"]
    assert folder.codes(overrides=[("components.h.nodes", "!!python/name:os.system")]) == ["CG107"]


def test_extends(folder: Folder) -> None:
    folder.spec()
    over = (
        "cgc: 1\nextends: small.yaml\nname: over\nparams: {hidden: 8}\nfamilies: {node: rect}\n"
        "components:\n  h: {bias: false, parents: {x: {lag: 1}, h: {kind: dense, lag: 1}}}\n  y: {family: {kind: binary, values: [0, 1]}}\n"
        "independence:\n  - y[k,t] ⟂ h[i,t] | parents\n"
    )
    spec = folder.spec(over, "over.yaml")
    assert (spec.name, spec.files, dict(spec.params)["hidden"]) == ("over", ("over.yaml", "small.yaml"), 8)
    h = spec.component("h")
    assert (h.nodes, h.bias, [edge.name for edge in h.parents]) == ((8,), False, ["x", "h"])
    assert h.parents[0].lag == 1, "a bare word is short for a kind, which is merged into"
    assert isinstance(spec.family("y").law, FiniteExponential), "another kind replaces"
    assert [statement.span.source.name.rsplit("/", 1)[-1] for statement in spec.independence] == ["small.yaml", "over.yaml"]
    assert folder.codes("cgc: 1\nextends: small.yaml\nparams: {hidden: 999}\n", "far.yaml") == ["CG313"]


def test_null_removes(folder: Folder) -> None:
    folder.spec(BASE.replace("nodes: hidden,", "nodes: hidden, normalize: batch,"))
    spec = folder.spec("cgc: 1\nextends: small.yaml\ncomponents: {h: {normalize: null}}\nindependence: null\n", "over.yaml")
    assert spec.component("h").normalize is None and spec.independence == ()


def test_extends_stays_in_its_folder(folder: Folder) -> None:
    folder.spec(name="below/base.yaml")
    assert folder.spec("cgc: 1\nextends: below/base.yaml\n", "top.yaml").files == ("top.yaml", "below/base.yaml")
    assert folder.codes("cgc: 1\nextends: ../top.yaml\n", "below/up.yaml") == ["CG320"]
    folder.spec(BASE, "top.yaml")
    (folder.path / "below" / "link.yaml").symlink_to(folder.path / "top.yaml")
    assert folder.codes("cgc: 1\nextends: link.yaml\n", "below/through.yaml") == ["CG320"]


def test_loops_show_the_chain(folder: Folder) -> None:
    (folder.path / "a.yaml").write_text("cgc: 1\nextends: b.yaml\n")
    with pytest.raises(SpecError) as caught:
        folder.spec("cgc: 1\nextends: a.yaml\n", "b.yaml")
    assert [d.code for d in caught.value.diagnostics] == ["CG321"] and caught.value.diagnostics[0].why == "b.yaml → a.yaml → b.yaml"


def test_all_errors_in_the_order_of_the_text(folder: Folder) -> None:
    text = BASE.replace("min: 1", "min: 9").replace("tanh(e)", "tahn(e)").replace("{x: dense}", "{z: dens}")
    text = text.replace("labels: 3", "lables: 3")
    assert folder.codes(text + "zeit: {}\n") == ["CG313", "CG201", "CG307", "CG303", "CG301", "CG301"]


def test_what_follows_from_a_broken_param_is_not_told(folder: Folder) -> None:
    assert folder.codes(BASE.replace("default: 4", "default: 0")) == ["CG313"]
    assert folder.codes(BASE.replace("default: 4", "default: many").replace("labels: 3", "labels: 0.5")) == ["CG202", "CG305"]


def test_an_anchor_that_is_wrong_is_told_once(folder: Folder) -> None:
    text = BASE.replace("families:", "x-edge: &edge {kind: dense, lagg: 1}\nfamilies:").replace("{x: dense}", "{x: *edge}")
    assert folder.codes(text.replace("{h: dense}", "{h: *edge}")) == ["CG301"]


def test_resolved_text_gives_the_same_spec(folder: Folder, tmp_path: Path) -> None:
    folder.spec(BASE.replace("nodes: hidden,", "nodes: hidden, stack: 2,"))
    over = 'cgc: 1\nextends: small.yaml\nname: over\ndoc: "quotes \' and \\" and # and: {{ }} \\n end"\ncomponents: {h: {bias: false}}\n'
    spec = folder.spec(over, "over.yaml", params={"hidden": 9}, overrides=[("families.node", "rect"), ("time.steps", "6")])
    again = folder.spec(spec.resolved, "resolved/spec.yaml")
    assert meaning(again) == meaning(spec)
    assert again.resolved == spec.resolved and "extends" not in spec.resolved and dict(again.params)["hidden"] == 9


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_specs(path: Path, folder: Folder) -> None:
    spec = load(path)
    if spec.train is not None and spec.train.reuse is not None and spec.train.reuse.spec is not None:
        folder.spec(spec.train.reuse.spec.resolved, spec.train.reuse.source)
    again = folder.spec(spec.resolved)
    assert meaning(again) == meaning(spec) and again.resolved == spec.resolved


@pytest.mark.parametrize(
    ("name", "code"),
    [("missing.yaml", "CG112"), (".", "CG112"), ("/dev/zero", "CG112"), ("a\0b", "CG112"), ("x" * 5000, "CG112")],
)
def test_paths_that_are_no_files(name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        load(name)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("data", "code"), [(b"\xff\xfe\x00", "CG104"), (b"", "CG109"), (b"# only a comment\n", "CG109"), (b"- a\n", "CG305")]
)
def test_files_that_are_no_specs(data: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(data)
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "a.yaml")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]


def test_a_byte_order_mark_and_carriage_returns_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load(tmp_path / "a.yaml").name == "small"


def test_names_of_torch_modules_are_known() -> None:
    public = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert public - MODULE_ATTRIBUTES == set()
