"""The command line as users meet it: output, exit status, and that a mistake never ends in a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cgc.cli.main import cli, main
from cgc.source.diagnostics import SpecError

ROOT = Path(__file__).parent.parent.parent
SPECS = ROOT / "specs"
SRN, INDRNN = str(SPECS / "srn.yaml"), str(SPECS / "indrnn.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def exit_status(*arguments: str) -> int:
    """The status with which ``cgc`` ends."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(Path(SRN).read_text().replace("std: tanh(e)", "std: tahn(e)"))
    return str(path)


def test_check(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("check", SRN, INDRNN) == 0
    assert "no errors" in capsys.readouterr().out
    assert exit_status("check", SRN, bad) == 1
    captured = capsys.readouterr()
    assert "error[CG201]: unknown function `tahn`" in captured.err
    assert "did you mean `tanh`?" in captured.err
    assert "Traceback" not in captured.err


def test_check_as_data(bad: str) -> None:
    result = run("check", bad, "--json")
    (finding,) = json.loads(result.stdout)["diagnostics"]
    assert finding["code"] == "CG201"


def test_compile_writes_all_or_nothing(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert exit_status("compile", SRN, bad, "-o", str(out)) == 1
    assert not out.exists()
    assert exit_status("compile", SRN, "-o", str(out), "--dry-run") == 0
    assert not out.exists()
    assert exit_status("compile", SRN, "-o", str(out), "--check") == 1
    assert not out.exists()
    assert exit_status("compile", SRN, "-o", str(out)) == 0
    assert exit_status("compile", SRN, "-o", str(out), "--check") == 0
    (out / "srn" / "model.py").write_text("changed")
    capsys.readouterr()
    assert exit_status("compile", SRN, "-o", str(out), "--check") == 1
    assert capsys.readouterr().out == f"differs {out / 'srn' / 'model.py'}\n"


def test_inspect_steps_names_equations() -> None:
    text = run("inspect", INDRNN, "--steps").stdout
    assert "E[X | e] = e*Φ(e/s) + s*φ(e/s)" in text
    assert "[eq. 9, 10]" in text and "[eq. 11]" in text
    assert "off by at most 0.0370581, at |e| = 0.747468" in text
    assert "one weight per node, 128" in text


def test_inspect_one_component() -> None:
    text = run("inspect", INDRNN, "y").stdout
    assert "softmax" in text and "h.0  component" not in text
    result = run("inspect", INDRNN, "yy")
    assert result.exit_code == 2 and "Did you mean `y`?" in result.stderr


def test_inspect_as_data() -> None:
    data = json.loads(run("inspect", INDRNN, "--json").stdout)
    assert data["state_dict"]["h.1.h.weight"] == [128]
    assert data["laws"]["rect"]["computed"]["name"] == "relu"
    assert data["laws"]["rect"]["computed"]["max_error"] == pytest.approx(0.0370580604, abs=1e-9)


def test_latex() -> None:
    assert r"\varphi" in run("inspect", INDRNN, "h", "--latex").stdout


def test_params_and_overrides() -> None:
    data = json.loads(run("inspect", SRN, "-p", "hidden=5", "--set", "components.h.normalize=null", "--json").stdout)
    assert data["state_dict"]["h.0.h.weight"] == [5, 5]
    assert "h.0.normalize.weight" not in data["state_dict"]


def test_diff() -> None:
    text = run("diff", SRN, INDRNN).stdout
    assert "holds in indrnn: yes, held in srn: no" in text
    assert "dense 128 x 128  ->  elementwise 128" in text
    assert "51 978 -> 19 466 parameters  (-62.5 %)" in text
    assert "[128, 128] -> [128]" in text
    assert run("diff", SRN, SRN).stdout == "no difference\n"
    backwards = json.loads(run("diff", INDRNN, SRN, "--json").stdout)
    assert backwards[0]["what"] == "assume" and backwards[0]["change"].startswith("removed; holds in srn: no")


def test_diff_judges_statements_in_both(tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.yaml" for name in ("one", "two", "three"))
    text = Path(SRN).read_text()
    one.write_text(text.replace("name: srn", "name: one") + "independence:\n  - h.0[i,t] ⟂ h.0[j,t-1] | parents where j > i\n")
    two.write_text(text.replace("name: srn", "name: two") + "independence:\n  - h.0[i,t] ⟂ h.0[j,t-1] | parents where j > i + 1\n")
    three.write_text(text.replace("name: srn", "name: three").replace("stack: layers", "stack: 1"))
    rows = {row["text"]: row for row in json.loads(run("diff", str(one), str(two), "--json").stdout)}
    stated = rows["h.0[i,t] ⟂ h.0[j,t-1] | parents where j > i"]
    assert (stated["what"], stated["before"], stated["after"]) == ("assume", "yes", "no")
    # what is stated in one spec follows from what is stated in the other
    weaker = rows["h.0[i,t] ⟂ h.0[j,t-1] | parents where j > i + 1"]
    assert (weaker["what"], weaker["before"], weaker["after"]) == ("assume", "yes", "yes") and weaker["change"].startswith("added; ")
    rows = {row["text"]: row for row in json.loads(run("diff", SRN, str(three), "--json").stdout)}
    implied = rows["h.1[i,t] ⟂ x[j,t] | parents"]
    assert (implied["what"], implied["before"]) == ("implied", "yes")
    assert implied["after"] == "cannot be said, `h` has no part `h.1`"
    assert all(row["before"] is None for row in rows.values() if row["what"] not in ("assume", "implied"))
    many = run("diff", SRN, str(SPECS / "digits_dense.yaml"), "-p", "layers=9")
    assert many.exit_code != 0  # digits_dense has no such param
    many = run("diff", str(three), SRN, "-p", "layers=9").stdout
    assert sum(line.startswith("implied ") for line in many.splitlines()) == 21 and "more; --json lists all" in many


def test_query() -> None:
    text = run("query", INDRNN, "h[i,t] ⟂ h[j,t-1] | parents where j != i")
    assert text.exit_code == 0 and text.stdout.startswith("yes, ") and "local Markov property" in text.stdout
    text = run("query", SRN, "h[i,t] _||_ h[j,t-1] | parents where j != i")
    assert text.exit_code == 0 and text.stdout.startswith("no: ")
    data = json.loads(run("query", INDRNN, "h[i,t] ⟂ h[j,0] | y where i != j", "--json", "--property", "amp", "-p", "layers=1").stdout)
    assert (data["holds"], data["property"], len(data["layers"])) == (False, "amp", 1)
    assert json.loads(run("query", SRN, "x[0,t] ⟂ x[1,t]", "--json", "--set", "components.x.independent=true").stdout)["holds"]


def test_query_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("query", SRN, "h[i,t] ⟂ z") == 1
    captured = capsys.readouterr()
    assert "--> query:1:10" in captured.err and "there is no component `z`" in captured.err and captured.out == ""
    assert exit_status("query", SRN) == 2
    assert exit_status("query", SRN, "h ⟂ x", "--property", "pmf") == 2
    assert exit_status("query", "no/such.yaml", "h ⟂ x") == 1
    assert exit_status("query", SRN, "h ⟂ \x1b[2J\n\n| x" * 3) == 1
    assert exit_status("query", SRN, "h[i,t] ⟂ x[j,T] | y") == 0
    assert "Traceback" not in capsys.readouterr().err


def test_independences() -> None:
    text = run("independences", INDRNN).stdout
    assert "\n  h[i,t] ⟂ h[j,t-1] | parents where j != i\n" in text
    assert text.count("\n\n") == 2 and "always dependent" in text
    only = run("independences", INDRNN, "--mode", "local").stdout
    assert only.startswith("local basis") and "\n\n" not in only
    data = json.loads(run("independences", SRN, "--json", "-p", "layers=4").stdout)
    assert list(data) == ["missing_edge", "local", "all_pairs"]
    assert {"left": "h.0[i,t]", "right": "x[j,t]", "statement": None, "smallest": False, "linked": False} in data["all_pairs"]
    assert run("independences", SRN, "--mode", "some").exit_code == 2


def test_diff_of_what_cannot_be_compiled_judges_the_assumptions(tmp_path: Path) -> None:
    text = """cgc: 1
name: plain
time: {steps: 6}
families: {node: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: 4, family: node}
  h: {nodes: 1, family: node, parents: {x: dense}}
  y: {role: output, nodes: 1, family: node, parents: {h: dense}}
"""
    plain, tied = tmp_path / "plain.yaml", tmp_path / "tied.yaml"
    plain.write_text(text)
    tied.write_text(text.replace("plain", "tied").replace("parents: {x", "lines: chain, parents: {x"))
    done = run("diff", str(plain), str(tied), "--json")
    data = json.loads(done.stdout)
    rows = {row["text"]: row for row in data["rows"]}
    assert rows["h[i,t] ⟂ h[j,t-1] | parents"]["before"] == "yes" and rows["h[i,t] ⟂ h[j,t-1] | parents"]["after"] == "no"
    assert [found["code"] for found in data["diagnostics"]] == ["CG390"] and exit_status("diff", str(plain), str(tied)) == 1


def test_diff_of_formulas() -> None:
    text = run("diff", str(SPECS / "mnist_dense.yaml"), str(SPECS / "mnist_dense.yaml"), "--set", "families.node=rect").stdout
    assert text == "no difference\n"


@pytest.mark.parametrize("stage", ["spec", "graph", "derivation", "program", "kernels"])
def test_dump(stage: str) -> None:
    result = run("dump", INDRNN, "--stage", stage)
    assert result.exit_code == 0 and result.stdout.count("\n") > 5


def test_render_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "alone.yaml"
    path.write_text(run("render", INDRNN, "-p", "hidden=7").stdout)
    assert "extends" not in path.read_text()
    assert json.loads(run("inspect", str(path), "--json").stdout)["state_dict"]["h.0.h.weight"] == [7]


def test_families() -> None:
    text = run("families").stdout
    for family in ("binary", "categorical", "gaussian", "rectified_gaussian", "noise", "exponential_family"):
        assert f"\n{family}  " in "\n" + text
    assert json.loads(run("families", "noise", "--json").stdout)["noise"]["expectation"] == "softplus(e)"
    assert run("families", "nothing").exit_code == 2


def test_explain() -> None:
    assert "Wrong:" in run("explain", "cg201").stdout
    assert run("explain", "CG999").exit_code == 2


def test_schema() -> None:
    assert json.loads(run("schema").stdout)["$schema"].startswith("https://json-schema.org/")


def test_new(tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    result = run("new", str(folder))
    assert result.exit_code == 0
    settings = json.loads((folder / ".vscode" / "settings.json").read_text())
    (schema,) = settings["yaml.schemas"]
    assert (folder / schema).is_file()
    for spec in sorted((folder / "specs").glob("*.yaml")):
        assert exit_status("check", str(spec)) == 0
    assert run("new", str(folder)).exit_code == 2


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("chekc") == 2
    assert "Did you mean `check`?" in capsys.readouterr().err
    assert exit_status("check") == 2
    assert exit_status("check", SRN, "-p", "hidden") == 2
    assert exit_status("--version") == 0


def test_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("compile", "no/such.yaml") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "file"
    target.write_text("")
    assert exit_status("compile", SRN, "-o", str(target / "below")) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_called_a_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("cgc.compiler.load", broken)
    assert exit_status("check", SRN) == 3
    captured = capsys.readouterr()
    assert "this is a bug of cgc, not of your spec (RuntimeError" in captured.err and "out of order" in captured.err


def test_ascii_locale_prints_formulas() -> None:
    command = [sys.executable, "-m", "cgc", "inspect", INDRNN, "h"]
    result = subprocess.run(command, capture_output=True, env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, cwd=ROOT)
    assert result.returncode == 0 and "Φ" in result.stdout.decode()


def test_python_face() -> None:
    import cgc

    inspection = cgc.inspect(INDRNN)
    assert "one weight per node" in str(inspection)
    assert cgc.check(INDRNN) == ()
    reply = cgc.query(INDRNN, "h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i", params={"layers": 1})
    assert not reply and reply.layers[0].repair is not None and "add `x[:,t]`" in str(reply)
    assert cgc.query(INDRNN, "x[0,t] ⟂ x[1,t]", overrides=[("components.x.independent", "true")])
    with pytest.raises(SpecError):
        cgc.inspect("no/such.yaml")


LINED = """cgc: 1
name: lined
families: {spin: {kind: binary, values: [-1, 1]}}
time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: spin}
  h: {nodes: 1, family: spin, parents: {x: dense}, lines: {kind: chain, inference: {kind: mean_field, steps: 3}}}
  y: {role: output, nodes: 1, family: spin, parents: {h: dense}}
"""


def test_inspect_prints_what_is_known_of_what_cannot_be_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lined.yaml"
    path.write_text(LINED)
    assert exit_status("inspect", str(path)) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error[CG390]: `h` is hidden and has lines, which are analysed, but compiled for outputs only\n")
    for text in (
        "joint         P(h, y | x) = prod_t P(y[t] | h[t]) · P(h[0..T] | x[0..T])\n",
        "flags         x[i,t] → h[t] — h[t+1]\n                x[i,t] → h[t] — h[t-1]\n",
        "the lines of `h` make chain components, every other node is one of its own; the LWF property is used; with flags, AMP differs",
        "prod_t phi(h[t]; e_h[t]) prod_{t<T} psi(h[t], h[t+1])\n",
        "a chain along time: each node with its copy at the next step; inference mean field, 3 steps, damping 0.5\n",
        "expectation   E[X | e] = tanh(e)\n",
    ):
        assert text in printed.out
    assert "size  " not in printed.out and r"\prod_{t<T} \psi" in run("inspect", str(path), "h", "--latex").stdout
    assert exit_status("inspect", str(path), "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert [d["code"] for d in data["diagnostics"]] == ["CG390"] and data["laws"]["h"]["expectation"] == "tanh(e)"
    assert data["factors"][0]["formulas"][0]["latex"].startswith(r"P(\mathrm{h}_{0 \ldots T} \mid \mathrm{x}_{0 \ldots T})")
    assert data["flags"] == ["x[i,t] → h[t] — h[t+1]", "x[i,t] → h[t] — h[t-1]"]
    assert run("inspect", str(path), "--quiet").stdout == "" and run("inspect", str(path), "z").exit_code == 2


def test_inspect_says_how_exact_an_output_with_lines_is(tmp_path: Path) -> None:
    """And diff tells lines from lines, or from none."""
    text = LINED.replace("h: {nodes: 1, family: spin, ", "y: {role: output, nodes: 3, family: spin, ").replace(
        "kind: chain, ", "kind: chain, along: 0, "
    )
    text = text.replace("  y: {role: output, nodes: 1, family: spin, parents: {h: dense}}\n", "")
    path, exact, plain = tmp_path / "lined.yaml", tmp_path / "exact.yaml", tmp_path / "plain.yaml"
    path.write_text(text)
    exact.write_text(text.replace("chain, along: 0, inference: {kind: mean_field, steps: 3}", "dense"))
    plain.write_text(text.replace(", lines: {kind: chain, along: 0, inference: {kind: mean_field, steps: 3}}", ""))
    shown = run("inspect", str(path), "y").stdout
    assert "inference     approximate: mean field" in shown and "3 times from m = 0" in shown and "y.lines.weight [1]\n" in shown
    assert "inference     exact: sums over all 8 joint states\n" in run("inspect", str(exact), "y").stdout
    (layer,) = json.loads(run("inspect", str(path), "--json").stdout)["layers"]
    assert layer["lines"] == {
        "kind": "chain",
        "along": [0],
        "ends": False,
        "method": "mean_field",
        "steps": 3,
        "damping": 0.5,
        "exact": False,
    }
    (layer,) = json.loads(run("inspect", str(exact), "--json").stdout)["layers"]
    assert layer["lines"]["exact"] is True and "inference" not in run("inspect", str(plain), "y").stdout
    rows = json.loads(run("diff", str(plain), str(exact), "--json").stdout)
    assert [row["change"] for row in rows if row["text"] == "y.lines.weight"] == ["absent -> [3]"]
    assert any(row["change"].startswith("lines: none  ->  dense") for row in rows)


def test_commands_that_need_no_program_do_not_ask_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lined.yaml"
    path.write_text(LINED)
    for stage, text in {"spec": "lines: {kind: chain", "graph": "lines over time", "derivation": "tanh"}.items():
        result = run("dump", str(path), "--stage", stage)
        assert result.exit_code == 0 and text in result.stdout, result.stdout
    for command in (["dump", str(path), "--stage", "program"], ["check", str(path)], ["compile", str(path), "-o", str(tmp_path / "out")]):
        assert exit_status(*command) == 1 and "CG390" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
