"""lstm: fused node laws as operations of torch: of cpu.c where there is a C compiler, of cuda.py where there are a GPU and
Triton. model.py computes the same as it is written.

The first use compiles cpu.c for this machine, into a cache (CGC_KERNEL_CACHE). CGC_KERNELS=off leaves the kernels out.
Made by cgc; do not edit, compile again.
"""

import ctypes
import functools
import hashlib
import importlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("cpu.c")
NAMESPACE = "cgc_46116e81038b"
MANY = 2**15  # so many elements are worth several threads
FLAGS = ["-std=c99", "-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-funswitch-loops"]
FLAGS += ["-fno-tree-loop-distribute-patterns"]  # which makes short copies calls of memcpy, or of what is as slow
FLAGS += ["-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]


class Cell(NamedTuple):
    """A step of a loop over time, in layers.

    `inputs`: attributes of a module, the weights and biases of what is one product before the loop, if it is one; `weights`: by each of
    `sources`, those of products with what that layer was; `vectors`: those of single nodes. `driven` layers have a part of their energy
    that is known before the loop, `lagged` ones are read steps later, `kept` ones outside; `energies` are of layers whose energies have
    a gradient. `arrays` are what is read and written, `slopes` the layers whose slopes are computed: forward, backward, and where nodes are
    drawn; `told`: values tell them where no gradient is to pass a draw.
    """

    layers: int
    inputs: tuple[str, ...]
    weights: tuple[str, ...]
    sources: tuple[int, ...]
    vectors: str
    driven: tuple[int, ...]
    lagged: tuple[int, ...]
    kept: tuple[int, ...]
    energies: tuple[int, ...]
    arrays: dict[str, str]
    slopes: dict[str, tuple[int, ...]]
    told: bool


CELLS = {
    "cell": Cell(
        layers=7,
        inputs=("i.x.weight f.x.weight g.x.weight o.x.weight", "i.bias f.bias g.bias o.bias"),
        weights=("i.h.weight f.h.weight g.h.weight o.h.weight",),
        sources=(6,),
        vectors="",
        driven=(0, 1, 2, 3),
        lagged=(4, 6),
        kept=(4, 6),
        energies=(0, 1, 2, 3),
        arrays={
            "forward": "p0 p1 p2 p3 v4_1 x0 x1 x2 x3 to_v0 to_v1 to_v2 to_v3 to_v4 to_v5 to_v6",
            "backward": "g4 g6 v0 v1 v2 v3 v4_1 v5 to_e0 to_e1 to_e2 to_e3 to_dv4_1",
            "drawn": "p0 p1 p2 p3 v4_1 x0 x1 x2 x3 to_v0 to_v1 to_v2 to_v3 to_v4 to_v5 to_v6 to_s0 to_s1 to_s2 to_s3 to_s5",
            "drawn_backward": "g4 g6 s0 s1 s2 s3 s5 v0 v1 v2 v3 v4_1 v5 to_e0 to_e1 to_e2 to_e3 to_dv4_1",
        },
        slopes={"forward": (), "backward": (), "drawn": (0, 1, 2, 3, 5), "drawn_backward": ()},
        told=True,
    ),
}


def cache_folder() -> Path:
    """Where compiled kernels are kept: a folder that can be written to."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("CGC_KERNEL_CACHE") or Path(base) / "cgc-kernels")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="cgc-kernels-"))
    return folder


def machine() -> str:
    """What compiled code depends on: the processor and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return " ".join([platform.machine(), *sorted(told)])


def _built(compiler: str, more: list[str], scratch: Path) -> str:
    """Compiles both halves of cpu.c at once, and links them; what the compiler says where it fails."""
    parts = [[f"-D{half}", "-c", str(SOURCE), "-o", str(scratch / f"{half}.o")] for half in ("FORWARD", "BACKWARD")]
    running = [subprocess.Popen([compiler, *FLAGS, *more, *part], stderr=subprocess.PIPE, text=True) for part in parts]
    said = [process.communicate(timeout=300)[1] for process in running]
    if any(process.returncode for process in running):
        return "".join(said) or "it says nothing"
    link = [compiler, "-shared", *more, *(part[-1] for part in parts), "-o", str(scratch / "kernels.so"), "-lm"]
    done = subprocess.run(link, capture_output=True, text=True, timeout=300)
    return (done.stderr or "it says nothing") if done.returncode else ""


def compiled() -> Path:
    """The shared library, compiled unless it is in the cache. Raises OSError, RuntimeError."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("there is no C compiler")
    parts = [SOURCE.read_bytes(), machine().encode(), compiler.encode(), " ".join(FLAGS).encode()]
    folder = cache_folder()
    library = folder / f"{hashlib.sha256(bytes(1).join(parts)).hexdigest()[:32]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for more in (["-march=native", "-fopenmp"], ["-march=native"], []):
                failed = _built(compiler, more, Path(scratch))
                if not failed:
                    break
            else:
                raise RuntimeError(f"{compiler} failed: {failed.strip()[-500:]}")
            # another process may have done the same: either file will do
            os.replace(Path(scratch) / "kernels.so", library)
    return library


def wanted() -> bool:
    return os.environ.get("CGC_KERNELS", "on").lower() not in ("off", "0", "no")


def missed(error: Exception) -> None:
    warnings.warn(f"lstm is computed without fused kernels: {error}", RuntimeWarning, stacklevel=4)


@cache
def gpu() -> ModuleType | None:
    """The kernels for GPUs; None where there are none, and why is said once."""
    try:
        return importlib.import_module(".cuda", __name__) if wanted() else None
    except (ImportError, RuntimeError, AttributeError) as error:
        return missed(error)


@cache
def library() -> ctypes.CDLL | None:
    """The kernels for this processor; None where there are none, and why is said once."""
    try:
        found = ctypes.CDLL(str(compiled())) if wanted() else None
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return missed(error)
    if found is None:
        return None
    p, n, i = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
    f, u = ctypes.c_float, ctypes.c_ulonglong
    for name, known in CELLS.items():
        for half in known.arrays:
            getattr(found, f"{name}_{half}").argtypes = [p, p, p, n, n, n, f, f, u, i]
    return found


def compiled_here(on_gpu: bool) -> bool:
    """Whether there are kernels in this process."""
    return (gpu if on_gpu else library)() is not None


# what torch.compiler.assume_constant_result does, which takes a second to import
compiled_here._dynamo_marked_constant = True


def available(x: Tensor) -> bool:
    """Whether kernels can be used here: torch.func transforms what is written in torch alone."""
    if not (x.is_cpu or x.is_cuda) or not compiled_here(x.is_cuda):
        return False
    return torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active()


def _place(x: Tensor | None) -> int | None:
    """Where a tensor is. Raises RuntimeError for one whose memory was given away."""
    place = None if x is None else x.data_ptr()
    if place == 0 and x.numel():
        raise RuntimeError("a tensor has no memory: is it a sharded parameter, outside of its module's forward?")
    return place


def _threads(elements: int) -> int:
    return torch.get_num_threads() if elements >= MANY else 1


def _seed(seed: Tensor | None) -> int:
    return 0 if seed is None else int(seed) % 2**64


def _half(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16


# --- operations: pure functions of tensors, numbers and a seed

OPERATIONS = {
    "cell": "(Tensor[] given, Tensor[] weights, Tensor[] vectors, Tensor[] pasts, str name, float rate, bool straight, Tensor? seed, bool whole)"
    " -> Tensor[]",
    "cell_backward": "(Tensor[] g, Tensor[] beside, Tensor[] weights, Tensor[] vectors, Tensor[] saved, str name, bool drawn) -> Tensor[]",
}


def _half_of(known: Cell, rate: float) -> str:
    return "drawn" if rate > 0 and "drawn" in known.arrays else "forward"


def _told(known: Cell, rate: float, straight: bool) -> bool:
    """Whether slopes that are computed need not be kept, as drawn values tell them."""
    return known.told and not straight and _half_of(known, rate) == "drawn"


def _room(
    known: Cell, rate: float, straight: bool, given: list[Tensor], pasts: list[Tensor], whole: bool
) -> list[Tensor]:
    """Room for what layers become, (rows, steps before and now, nodes), or one step where that is enough; and for their slopes."""
    rows, steps, width = given[0].shape
    before = dict(zip(known.lagged, (past.shape[1] for past in pasts), strict=True))
    counts = [before.get(k, 0) + steps if whole or k in known.kept else 1 for k in range(known.layers)]
    counts += [steps if whole and not _told(known, rate, straight) else 1 for _ in known.slopes[_half_of(known, rate)]]
    return [given[0].new_empty(rows, count, width // (len(known.driven) or 1)) for count in counts]


@cache
def _kinds(names: str) -> list[tuple[str, int, int]]:
    """What arrays are, their numbers, and how many steps before the first they begin."""
    found = (re.fullmatch(r"(?:to_)?([a-z]+)(\d+)_?(\d*)", name).groups() for name in names.split())
    return [(kind, int(number), int(lag or 0)) for kind, number, lag in found]


def _arrays(names: str, steps: int, known: dict[str, Any]) -> list[tuple[Tensor, int]]:
    """The arrays that a step reads and writes, (rows, steps, nodes), and where they begin; of one step alone, they are the same at all."""
    found = [(known[kind][number], lag) for kind, number, lag in _kinds(names)]
    return [(array, 0 if array.shape[1] == 1 else array.shape[1] - steps - lag) for array, lag in found]


def _views(arrays: list[tuple[Tensor, int]], steps: int) -> list[Tensor]:
    return [x.expand(-1, steps, -1) if x.shape[1] == 1 else x[:, first : first + steps] for x, first in arrays]


def _stepper(name: str, arrays: list[tuple[Tensor, int]], steps: int, rate: float, straight: bool, seed: Tensor | None):
    """What computes a step, of which the number is given."""
    (rows, _, width), count = arrays[0][0].shape, len(arrays)
    if arrays[0][0].is_cuda:
        return gpu().stepper(name, _views(arrays, steps), rate, straight, seed)
    # views would take longer than a step
    rows_apart = [x.stride(0) for x, _ in arrays]
    steps_apart = [x.stride(1) if x.shape[1] > 1 else 0 for x, _ in arrays]
    places = [_place(x) + 4 * first * apart for (x, first), apart in zip(arrays, steps_apart, strict=True)]
    pointers, longs = ctypes.c_void_p * count, ctypes.c_long * count
    given = pointers(*places), longs(*rows_apart), longs(*steps_apart), rows, width
    run, last = getattr(library(), name), (rate, straight, _seed(seed), _threads(rows * width))
    return lambda t: run(*given, t, *last)


@torch.no_grad()
def _cell(
    given: list[Tensor],
    weights: list[Tensor],
    vectors: list[Tensor],
    pasts: list[Tensor],
    name: str,
    rate: float,
    straight: bool,
    seed: Tensor | None,
    whole: bool,
) -> list[Tensor]:
    known = CELLS[name]
    half, driven = _half_of(known, rate), len(known.driven)
    made = _room(known, rate, straight, given, pasts, whole)
    values, slopes = made[: known.layers], made[known.layers :]
    for k, past in zip(known.lagged, pasts, strict=True):
        values[k][:, : past.shape[1]] = past
    rows, steps, width = len(given[0]), given[0].shape[1], values[0].shape[2]
    products = given[0].new_empty(rows, sum(len(w) for w in weights[:1]))
    arrays = {
        "x": given[0].split(width, 2) if driven else (),
        "b": given[1:] if driven else given,
        "p": products[:, None].split(width, 2) if weights else (),
        "u": [vector.expand(rows, 1, -1) for vector in vectors],
        "v": values,
        "s": dict(zip(known.slopes[half], slopes, strict=True)),
    }
    step = _stepper(f"{name}_{half}", _arrays(known.arrays[half], steps, arrays), steps, rate, straight, seed)
    before = [values[k][:, -steps - 1 : -1].unbind(1) for k in known.sources]
    turned = [w.T for w in weights]
    for t in range(steps):
        for j, w in enumerate(turned):
            torch.addmm(products, before[j][t], w, beta=float(j > 0), out=products)
        step(t)
    return made


@torch.no_grad()
def _cell_backward(
    g: list[Tensor],
    beside: list[Tensor],
    weights: list[Tensor],
    vectors: list[Tensor],
    saved: list[Tensor],
    name: str,
    drawn: bool,
) -> list[Tensor]:
    known = CELLS[name]
    half, forward = ("drawn_backward", "drawn") if drawn else ("backward", "forward")
    values, slopes = saved[: known.layers], saved[known.layers :]
    rows, steps, width = g[0].shape
    back = {}
    for k, one in zip(known.kept, g, strict=True):
        first = values[k].shape[1] - steps
        back[k] = torch.cat([one.new_zeros(rows, first, width), one], 1) if first else one.contiguous()
    energies = g[0].new_empty(rows, steps, len(known.energies) * width)
    to_beside, to_vectors = [torch.empty_like(x) for x in beside], [x.new_zeros(rows, 1, width) for x in vectors]
    arrays = {
        "b": beside,
        "u": [vector.expand(rows, 1, -1) for vector in vectors],
        "v": values,
        "s": dict(zip(known.slopes[forward], slopes, strict=True)),
        "g": back,
        "e": energies.split(width, 2),
        "db": to_beside,
        "du": to_vectors,
        "dv": back,
    }
    step = _stepper(f"{name}_{half}", _arrays(known.arrays[half], steps, arrays), steps, 0.0, False, None)
    products = energies[..., : sum(len(w) for w in weights[:1])]
    after, before = products.unbind(1), [back[k][:, -steps - 1 : -1].unbind(1) for k in known.sources]
    for t in range(steps - 1, -1, -1):
        step(t)
        for j, w in enumerate(weights):
            before[j][t].addmm_(after[t], w)
    to_weights = [products.flatten(0, 1).T @ values[k][:, -steps - 1 : -1].flatten(0, 1) for k in known.sources]
    to_pasts = [back[k][:, : back[k].shape[1] - steps].contiguous() for k in known.lagged]
    return [energies, *to_beside, *to_weights, *(x.sum((0, 1)) for x in to_vectors), *to_pasts]


def _fake_cell(
    given: list[Tensor],
    weights: object,
    vectors: object,
    pasts: list[Tensor],
    name: str,
    rate: float,
    straight: bool,
    seed: object,
    whole: bool,
) -> list[Tensor]:
    return _room(CELLS[name], rate, straight, given, pasts, whole)


def _fake_cell_backward(
    g: list[Tensor],
    beside: list[Tensor],
    weights: list[Tensor],
    vectors: list[Tensor],
    saved: list[Tensor],
    name: str,
    drawn: bool,
) -> list[Tensor]:
    known, (rows, steps, width) = CELLS[name], g[0].shape
    pasts = [(rows, saved[k].shape[1] - steps, width) for k in known.lagged]
    energies = g[0].new_empty(rows, steps, len(known.energies) * width)
    return [energies, *map(torch.empty_like, (*beside, *weights, *vectors)), *map(g[0].new_empty, pasts)]


def _alike(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _function(name: str, on_gpu: bool):
    """What an operation does on a device; some are the same on both."""
    own = globals()[f"_{name}"]
    return getattr(gpu(), name, own) if on_gpu else own


def _on_gpu(name: str):
    return lambda *arguments: _function(name, True)(*arguments)


# the same kernels may be there from another copy of this folder
if not hasattr(getattr(torch.ops, NAMESPACE), next(iter(OPERATIONS))):
    _library = torch.library.Library(NAMESPACE, "FRAGMENT")
    for _name, _schema in OPERATIONS.items():
        _library.define(_name + _schema)
        _library.impl(_name, globals()[f"_{_name}"], "CPU")
        if not _name.endswith("_kept"):  # a GPU draws again, which takes less time than to read
            _library.impl(_name, _on_gpu(_name), "CUDA")
        _fake = globals().get(f"_fake_{_name}", _alike)
        torch.library.register_fake(f"{NAMESPACE}::{_name}", _fake, lib=_library)
OPS = getattr(torch.ops, NAMESPACE)


FLOATS = (torch.float32, torch.bfloat16)
TENSORS = {Tensor, torch.nn.Parameter}
PLAIN = {*TENSORS, type(None)}


def _watched(*tensors: Tensor | None) -> bool:
    """Whether something looks on: compilers, tracers, modes, fake tensors."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state():
        return True
    return not PLAIN.issuperset(map(type, tensors))


def _operation(name: str, *tensors: Tensor | None):
    """The operation as torch knows it where something looks on; else the function behind it."""
    return getattr(OPS, name) if _watched(*tensors) else _function(name, tensors[0].is_cuda)


# --- derivatives, and what model.py calls


def _once(_: Tensor | None = None) -> None:
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError("fused kernels have no second derivative: CGC_KERNELS=off computes without them")


def _drawn(rate: float, x: Tensor) -> Tensor | None:
    """A seed for one pass, from torch's generator: the CPU's, so that a seed gives the same draws everywhere, unless it must be drawn anew
    where a graph of what runs on the GPU is replayed."""
    if not rate:
        return None
    if torch.compiler.is_compiling() or (x.is_cuda and torch.cuda.is_current_stream_capturing()):
        return torch.randint(2**63 - 1, (), device=x.device)
    return torch.empty((), dtype=torch.int64, device="cpu").random_()


class _Cell(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, name: str, rate: float, straight: bool, seed: Tensor | None, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        known, rest = CELLS[name], list(tensors)
        given, rest = rest[:count], rest[count:]
        weights, rest = rest[: len(known.weights)], rest[len(known.weights) :]
        vectors, pasts = rest[: len(rest) - len(known.lagged)], rest[len(rest) - len(known.lagged) :]
        whole = any(ctx.needs_input_grad)
        made = _operation("cell", *tensors)(given, weights, vectors, pasts, name, rate, straight, seed, whole)
        told = _told(known, rate, straight)
        ctx.step = name, _half_of(known, rate) == "drawn" and not told, count - bool(known.driven), len(vectors)
        if whole:
            kept = made[: known.layers] if told else made
            ctx.save_for_backward(*given[bool(known.driven) :], *weights, *vectors, *kept)
        return tuple(made[k][:, made[k].shape[1] - given[0].shape[1] :] for k in known.kept)

    @staticmethod
    def backward(ctx, *g: Tensor):
        _once()
        name, drawn, count, vectors = ctx.step
        known, rest = CELLS[name], list(ctx.saved_tensors)
        beside, rest = rest[:count], rest[count:]
        weights, rest = rest[: len(known.weights)], rest[len(known.weights) :]
        found = _operation("cell_backward", *g)(list(g), beside, weights, rest[:vectors], rest[vectors:], name, drawn)
        energies = found[0]
        if known.driven and known.driven != known.energies:
            parts = energies.split(g[0].shape[2], 2)
            energies = torch.cat([parts[known.energies.index(k)] for k in known.driven], 2)
        return *[None] * 5, *([energies] if known.driven else []), *found[1:]


def fits_cell(name: str, rate: float, x: Tensor) -> bool:
    """Whether a kernel computes the steps of a loop, of which something is known before."""
    return (rate == 0 or "drawn" in CELLS[name].arrays) and x.dtype in FLOATS and available(x)


def _parameters(module: torch.nn.Module, paths: str) -> list[Tensor]:
    return [functools.reduce(getattr, path.split("."), module) for path in paths.split()]


def cell(
    name: str, module: torch.nn.Module, given: list[Tensor], pasts: list[Tensor], rate: float, straight_through: bool
) -> list[Tensor]:
    """What the kept layers of a loop become, (..., steps, nodes). `given` is what is known before it: the parts of energies, or what
    they are products of, then what else is read; `pasts`, (..., 1 or more, nodes), are the layers' last steps. Weights are the module's.
    All is reckoned in float32."""
    known = CELLS[name]
    if known.inputs:
        weight, bias = (torch.cat(_parameters(module, paths)) for paths in known.inputs)
        given = [torch.nn.functional.linear(given[0], weight, bias), *given[1:]]
    elif known.driven:
        given = [torch.cat(given[: len(known.driven)], -1), *given[len(known.driven) :]]
    lead, dtype = given[0].shape[:-2], given[0].dtype
    weights = [torch.cat(_parameters(module, paths)) for paths in known.weights]
    rest = [x.float() for x in (*weights, *_parameters(module, known.vectors))]
    sequences = [x.expand(*lead, -1, -1).flatten(0, -3).float().contiguous() for x in (*given, *pasts)]
    given, pasts = sequences[: len(given)], sequences[len(given) :]
    found = _Cell.apply(name, rate, straight_through, _drawn(rate, given[0]), len(given), *given, *rest, *pasts)
    return [x.unflatten(0, lead).to(dtype) for x in found]
