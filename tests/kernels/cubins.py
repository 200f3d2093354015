"""Compiles the Triton kernels of a folder for GPUs that are not there, as their wrappers would launch them, and tells what came out.

    python cubins.py FOLDER some|every|steps LAWS ARCH...    a line of JSON for each kernel: its name, what for, its machine code

LAWS are names with commas between, or all; `steps` are those of loops.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


class Driver:
    """A driver of a GPU that is not there."""

    def __init__(self, arch: int) -> None:
        self.target = GPUTarget("cuda", arch, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def figures(compiled: Any) -> dict[str, Any]:
    """What the machine code holds: instructions, loads and stores by width, registers, stack; loads before the first multiplication."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(compiled.asm["cubin"])
        text = subprocess.run([str(TOOLS / "cuobjdump"), "-sass", str(cubin)], capture_output=True, text=True, check=True).stdout
        usage = subprocess.run([str(TOOLS / "cuobjdump"), "-res-usage", str(cubin)], capture_output=True, text=True, check=True)
    code = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(.*?);", text)
    code = [line for line in code if not line.startswith("NOP")]
    resources = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", usage.stdout + usage.stderr))
    accesses = [re.search(r"\b(LDG|STG)\.E\S*", line) for line in code]
    widths = [int((re.search(r"\.(128|64|U16|U8)", a.group()) or [0, "32"])[1].lstrip("U")) for a in accesses if a]
    first = next((k for k, line in enumerate(code) if re.search(r"\bFFMA\b", line)), len(code))
    return {
        "instructions": len(code),
        "registers": int(resources.get("REG", -1)),
        "stack": int(resources.get("STACK", -1)),
        "local": int(resources.get("LOCAL", -1)),
        "spills": sum(bool(re.search(r"\b(LDL|STL)\b", line)) for line in code),
        "widths": sorted(set(widths)),
        "narrow": sum(width < 128 for width in widths),
        "loads_first": sum("LDG" in line for line in code[:first]),
        "threads": 32 * compiled.metadata.num_warps,
    }


def calls(module: ModuleType, tell: Any, laws: list[str]) -> None:
    """Every wrapper, on sizes for which threads read 16 bytes, and on others."""
    for name in laws:
        law = module.LAWS[name]
        for kind in (torch.float32, torch.bfloat16):
            for rate in (0.0, 0.3)[: 1 + (law.words > 0)]:
                node(module, tell, name, kind, rate)
            for how in (0, 1, 2):
                if (law.slope_of_value, law.slope, law.drawn_slope)[how]:
                    node_backward(module, tell, name, kind, how)
        for shape in ((1, 1, 1), (4, 40, 32), (128, 40, 1024), (1, 4096, 64)) if law.recurrent else ():
            for rate in (0.0, 0.3)[: 1 + (law.words > 0)]:
                recurrence(module, tell, name, shape, rate)
    for states in getattr(module, "CHAINS", ()):
        chain(module, tell, states)


def some_calls(module: ModuleType, tell: Any, laws: list[str]) -> None:
    """Those that limits are known for; of the first law what is drawn, of the last what is scanned; heavy draws of those between."""
    first, *heavy, last = laws
    for law in heavy:
        node(module, tell, law, torch.bfloat16, 0.3)
        node_backward(module, tell, law, torch.bfloat16, 2)
    node(module, tell, first, torch.float32, 0.3)
    node_backward(module, tell, first, torch.float32, 0)
    node_backward(module, tell, last, torch.float32, 0)
    recurrence(module, tell, last, (128, 40, 1024), 0.0)
    recurrence(module, tell, last, (1, 4096, 64), 0.0)
    chain(module, tell, 13)


def steps(module: ModuleType, tell: Any, _: list[str]) -> None:
    """Every step of a loop, on few nodes and on many."""
    for name, kernel in list(vars(module).items()):
        if name.startswith("cell_") and isinstance(kernel, JITFunction):
            count = len([argument for argument in kernel.arg_names if argument.startswith(("in_", "to_"))])
            for rows in (4, 512):
                arrays = [torch.zeros(rows, 3, 128) for _ in range(count)]
                tell(f"{name} {rows}", module.stepper(name, arrays, 0.3, False, torch.tensor(7)), 1)


def node(module: ModuleType, tell: Any, name: str, kind: torch.dtype, rate: float) -> None:
    what = f"{name} {str(kind).removeprefix('torch.')} rate {rate}"
    tell(what, module.node, torch.zeros(2**20, dtype=kind), name, rate, torch.tensor(7))


def node_backward(module: ModuleType, tell: Any, name: str, kind: torch.dtype, how: int) -> None:
    e = torch.zeros(2**20, dtype=kind)
    tell(f"{name} {str(kind).removeprefix('torch.')} how {how}", module.node_backward, e, e, name, how, 0.3, torch.tensor(7))


def recurrence(module: ModuleType, tell: Any, name: str, shape: tuple[int, int, int], rate: float) -> None:
    rows, steps, width = shape
    x, w, past, seed = torch.zeros(rows, steps, width), torch.zeros(width), torch.zeros(rows, width), torch.tensor(7)
    law = module.LAWS[name]
    how = 2 if rate and law.drawn_slope else 0 if law.slope_of_value else 1
    tell(f"{name} {rows}x{steps}x{width} rate {rate}", module.recurrence, x, w, past, name, rate, seed)
    tell(f"{name} {rows}x{steps}x{width} how {how}", module.recurrence_backward, x, x, w, past, x, name, how, rate, seed)


def chain(module: ModuleType, tell: Any, states: int) -> None:
    e, pair, y = torch.zeros(3, 9, states), torch.zeros(states, states), torch.zeros(3, 9, dtype=torch.int64)
    ends, lengths, lost = (pair[0].clone(), pair[0].clone()), torch.full((3,), 9), torch.zeros(3, dtype=torch.int32)
    wide = torch.zeros(3, 9, (states + 7) // 8 * 8)
    tell(f"chain {states}", module.chain, e, pair, *ends, y, lengths)
    tell(f"chain {states} backward", module.chain_backward, e[:, 0, 0], wide, wide, lost, pair, y, lengths)


def main(folder: str, which: str, laws: str, *archs: str) -> None:
    spec = importlib.util.spec_from_file_location("cuda", Path(folder) / "cuda.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run = JITFunction.run
    for arch in archs:
        triton.runtime.driver.set_active(Driver(int(arch)))
        for value in vars(module).values():
            if isinstance(value, JITFunction):
                value.device_caches.clear()

        def tell(what: str, wrapper: Any, *arguments: Any, arch: str = arch) -> None:
            def warm(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
                compiled = run(self, *args, grid=grid, warmup=True, **options)
                print(json.dumps({"kernel": self.__name__, "arch": int(arch), "what": what, **figures(compiled)}), flush=True)

            JITFunction.run = warm
            wrapper(*arguments)

        names = list(getattr(module, "LAWS", ())) if laws == "all" else laws.split(",")
        {"every": calls, "some": some_calls, "steps": steps}[which](module, tell, names)


if __name__ == "__main__":
    main(*sys.argv[1:])
