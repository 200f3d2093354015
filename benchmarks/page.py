"""The page of measured figures, docs/benchmarks.md, from what the benchmarks wrote; a test compares the two.

python benchmarks/page.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
GPU_GOALS = (
    ("IndRNN recurrence (512, 256, 1024), forward and backward: share of copy bandwidth", ">= 0.85"),
    ("the same in bfloat16, as fast as in float32", ">= 1.9"),
    ("IndRNN recurrence (784, 32, 128), forward and backward, microseconds", "<= 100"),
    ("unbind loop / ours", ">= 150"),
    ("unbind loop in a CUDA graph / ours", ">= 10"),
    ("rectified recurrence (4096, 1, 256): our sequential kernel / our scan", ">= 4"),
    ("PCFF nodes, float32: share of copy bandwidth", ">= 0.85"),
    ("PCFF nodes, bfloat16: share of copy bandwidth", ">= 0.65"),
    ("torch.compile of the composed form / ours", ">= 1.5"),
    ("CRF loss and gradient (100, 32, 10), microseconds", "<= 45"),
    ("plain torch / ours", ">= 100"),
    ("dense training step: eager composed form / ours in a CUDA graph", ">= 8"),
    ("dense training step: ours / the same network without PCFF, both in CUDA graphs", "<= 1.15"),
)


def read(name: str) -> Any:
    """What a benchmark wrote; None if it has not run."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def spread(cell: dict[str, float] | None) -> str:
    return f"{cell['ratio']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]" if cell else "–"


def page() -> str:
    """The text of the page."""
    return "\n".join([*head(), *kernels(), *steps(), *pieces(), *first_steps(), *gpu()]).rstrip() + "\n"


def head() -> Iterator[str]:
    yield from (
        "# Measured figures",
        "",
        "Made by `python benchmarks/page.py` from `benchmarks/results`, which the benchmarks wrote; each names its command. Both sides",
        "of a ratio ran in one process, in turn, and were found right in the same run. Absolute times say nothing about other machines.",
        "",
    )


def kernels() -> Iterator[str]:
    found = read("kernels_cpu.json")
    yield from ("## Kernels on a processor", "", f"`python benchmarks/kernels.py`, one thread, torch {found['torch']}; medians over pairs,")
    yield from ("with the middle 80 %. A ratio is the time of the other side by ours.", "")
    lines = []
    for row in found["rows"]:
        what, _, beside = row["name"].rpartition(": ")
        lines.append((what, beside, spread(row), row["goal"]))
    yield from table(("kernel", "beside", "times faster", "goal"), lines)
    found = read("families_cpu.json")
    yield from (
        "`python benchmarks/families.py`, one thread: (32, 1024) nodes under PCFF at rate "
        f"{found['rate']:g}, forward and backward, beside the",
        "plain torch that a model falls back to; and features behind dropout nodes, half of which are kept.",
        "",
    )
    yield from table(("family", "times faster"), [(row["name"], spread(row)) for row in found["rows"]])


def steps() -> Iterator[str]:
    found = read("steps_cpu.json")
    yield from (
        "## Training steps",
        "",
        f"`python benchmarks/steps.py`, one thread, torch {found['torch']}; 95 % intervals of the median. Feed-forward: ours / by",
    )
    yield from (
        "hand, or / torch.nn's one operation for `lstm`, `adding_lstm` and `gru`. PCFF at rate 0.3: the composed form / ours, and / no",
        "sampling at all.",
        "",
    )
    keys = ("feed_forward", "loop", "pcff", "free_sampling")
    lines = [(f"`{row['spec']}`", *(spread(row.get(key)) for key in keys)) for row in found["rows"] if "feed_forward" in row]
    yield from table(("spec", "ours / by hand", "ours / loop by hand", "composed / ours", "composed / free sampling"), lines)
    for row in found["rows"]:
        if "loops_pcff" in row:
            plain, free = spread(row["loops_feed_forward"]), spread(row["loops_free_recurrence"])
            drawn, free_draws = spread(row["loops_pcff"]), spread(row["loops_free_sampling"])
            yield from (
                f"`{row['spec']}`, 784 steps: with plain loops a training step takes {plain} times as long as with kernels,",
                f"and {free} times as long as without its recurrences; under PCFF {drawn} and {free_draws} times.",
                "",
            )


def pieces() -> Iterator[str]:
    found = read("pieces_cpu.json")
    yield from (
        "### Where it goes",
        "",
        "`python benchmarks/pieces.py`, one thread: what a step takes with pieces of it left out. Under PCFF, in units of a step without",
        "draws, whose normalisation is torch's. The second column less the third are the kernels themselves, which normalise and draw;",
        "the rest surrounds them: a function of torch.autograd in Python, its arrays, a seed. With torch's normalisation, and such a",
        "function of two lines in place of each draw, it is the last column.",
        "",
    )
    keys = ("with draws", "nothing computed in C", "a bare function a node")
    lines = [(f"`{name}`", *(f"{row[key]:.3f}" for key in keys)) for name, row in found["draws"].items()]
    yield from table(("spec", *keys), lines)
    whole, trusting, blind = (f"{found['checks'][key]:.3f}" for key in ("whole", "targets not looked at", "nor inputs"))
    yield from (
        f"`transfer`, feed-forward: {whole} times as long as by hand; {trusting} if targets are not looked",
        f"at, and {blind} if inputs are not either.",
        "",
        "Kernels on their own, in units of what the first table measures: the C alone, on arrays that are there already, and what else is",
        "to be done. What is left is Python, torch.autograd, and memory that is new, whose pages the system fills with zeros first.",
        "",
    )
    yield from table(("kernel", "pieces"), [(name, in_words(row)) for name, row in found["kernels"].items()])


def in_words(row: dict[str, float]) -> str:
    return "; ".join(f"{key} {value:.2f}" for key, value in row.items() if key != "whole")


def first_steps() -> Iterator[str]:
    found = read("first_step.json")
    yield from (
        "## From YAML to the first training step",
        "",
        "`python benchmarks/first_step.py`: seconds after imports on the machine at hand, kernels compiled, from empty caches and with",
    )
    yield from (f"derivations known. The bar is {found['bar']:g} s.", "")
    lines = []
    for row in found["rows"]:
        cold, known = (sum(row[what].values()) for what in ("cold", "known"))
        lines.append((f"`{row['spec']}`", f"{cold:.2f}", f"{known:.2f}"))
    yield from table(("spec", "from nothing", "derivations known"), lines)
    times = next(row for row in read("compile_time.json") if row["ratio"] == "compile 1,000 components / 100")
    yield from (f"`python benchmarks/compile_time.py`: 1,000 components take {times['median']:.1f} times as long as 100.", "")


def gpu() -> Iterator[str]:
    found = read("gpu.json")
    yield from ("## Kernels on a GPU", "", "`sh benchmarks/gpu.sh` checks and times them.", "")
    if found is None:
        yield from table(("what", "goal", "measured"), [(what, goal, "not yet measured") for what, goal in GPU_GOALS])
        return
    yield f"{found['device']}, torch {found['torch']}; a copy moves {found['copy_bytes_per_second'] / 1e9:.0f} GB/s."
    yield ""
    yield from table(("what", "goal", "measured"), [(row["what"].strip(), row["goal"], f"{row['value']:.3g}") for row in found["rows"]])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
